"""One trace: self times, the critical path, clocks that differ, rings, twins, ten thousand spans."""

from __future__ import annotations

import itertools
import random
import time

from hypothesis import given
from hypothesis import strategies as st

from twofold.aiops.detect.traces.tree import Node, Spent, spent

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5


def node(span: str, parent: str = "", *, at: int = 0, lasts: int = 10, entity: str = "a", kind: int = INTERNAL) -> Node:
    return Node(span, parent, entity, kind, at, lasts)


def own(*nodes: Node) -> dict[str, int]:
    return {key: each.own_ns for key, each in spent(nodes).items()}


def critical(*nodes: Node) -> dict[str, list[tuple[int, int]]]:
    return {key: each.critical for key, each in spent(nodes).items() if each.critical}


def test_own_time_is_what_no_child_covers() -> None:
    assert own(
        node("r", lasts=100),
        node("x", "r", at=10, lasts=30),
        node("y", "r", at=20, lasts=40),
        node("z", "x", at=15, lasts=5),
    ) == {"r": 50, "x": 25, "y": 40, "z": 5}


def test_the_critical_path_goes_through_what_ended_last() -> None:
    found = critical(
        node("r", lasts=100),
        node("fast", "r", at=10, lasts=20),
        node("slow", "r", at=10, lasts=60),
        node("last", "r", at=80, lasts=10),
        node("deep", "slow", at=20, lasts=40),
    )
    assert found == {
        "r": [(0, 10), (70, 10), (90, 10)],
        "slow": [(10, 10), (60, 10)],
        "deep": [(20, 40)],
        "last": [(80, 10)],
    }


def test_nobody_waits_for_a_child_that_outlives_its_parent_or_comes_out_of_a_queue() -> None:
    found = spent(
        [
            node("r", lasts=100),
            node("late", "r", at=50, lasts=100),
            node("p", "r", at=10, lasts=5, kind=PRODUCER),
            node("c", "p", at=11, lasts=2, entity="b", kind=CONSUMER),
        ]
    )
    assert found["r"].own_ns == 95
    assert found["p"].own_ns == 5
    assert found["late"].critical == found["c"].critical == []


def test_a_clock_that_differs_is_moved_with_all_below_it() -> None:
    found = spent(
        [
            node("c", lasts=100, kind=CLIENT),
            node("s", "c", at=1000, lasts=60, entity="b", kind=SERVER),
            node("i", "s", at=1010, lasts=20, entity="b"),
            node("other", "i", at=33, lasts=5, entity="d", kind=SERVER),
        ]
    )
    assert (found["s"].shift_ns, found["s"].start_ns) == (-980, 20)
    assert (found["i"].shift_ns, found["i"].start_ns) == (-980, 30)
    assert found["other"].shift_ns == 0
    assert found["c"].own_ns == 40


def test_a_callee_that_does_not_fit_begins_with_its_caller() -> None:
    found = spent([node("c", at=100, lasts=10), node("s", "c", at=0, lasts=60, entity="b", kind=SERVER)])
    assert found["s"].start_ns == 100
    assert found["c"].own_ns == 10


def test_missing_parents_twins_and_rings() -> None:
    found = spent(
        [
            node("x", "gone", lasts=30),
            node("x", "gone", at=5, lasts=99),
            node("p", "q", lasts=10),
            node("q", "p", at=1, lasts=3),
            node("me", "me", lasts=4),
        ]
    )
    assert {key: each.own_ns for key, each in found.items()} == {"x": 30, "p": 7, "q": 3, "me": 4}
    assert found["x"].critical == [(0, 30)]
    assert spent([]) == {}


def test_ten_thousand_spans_deep_or_wide_take_no_second() -> None:
    deep = [node("0", lasts=20_000), *(node(f"{n}", f"{n - 1}", at=n, lasts=20_000 - 2 * n) for n in range(1, 10_000))]
    wide = [node("r", lasts=100_000), *(node(f"{n}", "r", at=n * 10, lasts=7) for n in range(1, 10_000))]
    began = time.process_time()
    assert sum(own(*deep).values()) == 20_000
    assert own(*wide)["r"] == 100_000 - 9_999 * 7
    assert time.process_time() - began < 1.0


@given(st.integers(0, 2**32))
def test_the_critical_path_is_as_long_as_the_root_and_own_times_fit(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose, nothing secret
    nodes = [node("0", lasts=1000)]
    for n in range(1, 30):
        above = chance.choice(nodes)
        begins = above.start_ns + chance.randint(0, max(above.duration_ns, 1))
        lasts = chance.randint(0, max(above.start_ns + above.duration_ns - begins, 0))
        nodes.append(node(f"{n}", above.span, at=begins, lasts=lasts))
    found: dict[str, Spent] = dict(spent(nodes))
    assert sum(each.critical_ns for each in found.values()) == 1000
    stretches = sorted(stretch for each in found.values() for stretch in each.critical)
    assert all(a[0] + a[1] <= b[0] for a, b in itertools.pairwise(stretches))
    assert all(0 <= found[each.span].own_ns <= each.duration_ns for each in nodes)
