"""The miner's promises: merging, ids that stay, bounds, and the same result however the stream is cut."""

from __future__ import annotations

import random
import string
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twofold.aiops.detect.mining.features import NAMES, Group, features
from twofold.aiops.detect.mining.merge import MANY, Logistic, fitted
from twofold.aiops.detect.mining.miner import Miner, MinerConfig
from twofold.aiops.detect.mining.state import restore, snapshot
from twofold.aiops.detect.mining.template import content_id
from twofold.errors import ConfigError, Corrupt

SMALL = MinerConfig(most_templates=60, most_shapes=120)


def lines_of(count: int, *, junk: float = 0.1, seed: int = 1) -> list[str]:
    """Lines of a few statements with values and names, and junk that nobody writes twice."""
    pick = random.Random(seed)  # noqa: S311 - no secret
    users = [f"{a}{b}" for a in ("al", "bo", "cy", "dan", "eve", "fay") for b in ("ice", "by", "rus", "ny", "lyn")]
    states = ("started", "paused", "stopped", "resumed")
    made = []
    for _ in range(count):
        if pick.random() < junk:
            made.append(" ".join("".join(pick.choices(string.ascii_lowercase, k=6)) for _ in range(pick.randint(3, 6))))
            continue
        made.append(
            pick.choice(
                (
                    f"session opened for user {pick.choice(users)} by uid {pick.randint(0, 99)}",
                    f"machine {pick.randint(0, 999)} was {pick.choice(states)} ok",
                    f"took {pick.random():.3f} s, from 10.0.0.{pick.randint(1, 254)}",
                    f"loading {pick.choice(users)}.conf for service {pick.choice(users)} done",
                )
            )
        )
    return made


def fed(
    lines: Sequence[str], cuts: Sequence[int], *, kill: bool, config: MinerConfig = SMALL
) -> tuple[list[int], Miner]:
    """Settled ids when the stream is cut there, with the miner thrown away and restored at each cut."""
    miner, found = Miner(config), []
    for first, past in pairwise([0, *cuts, len(lines)]):
        found.append(miner.feed_texts(lines[first:past]))
        if kill:
            state = {k: v if isinstance(v, bytes) else v.copy() for k, v in snapshot(miner).items()}
            miner = Miner(config)
            restore(miner, state)
    return miner.settled(np.concatenate(found)).tolist(), miner


def test_names_in_one_place_become_a_variable_and_states_do_not() -> None:
    miner = Miner()
    lines = lines_of(2000, junk=0)
    texts = {miner.template(i).text() for i in miner.settled(miner.feed_texts(lines)).tolist()}
    assert "session opened for user <*> by uid <*>" in texts
    assert {f"machine <*> was {state} ok" for state in ("started", "paused", "stopped", "resumed")} <= texts


def test_two_names_that_are_both_new_are_two_variables() -> None:
    miner = Miner()
    pairs = [("alice", "db.shop.local"), ("bruno", "web.shop.local"), ("carol", "mail.corp.net"), ("dora", "a.b.net")]
    found = miner.feed_texts([f"login of user {user} from {host} was refused" for user, host in pairs])
    assert {miner.template(i).text() for i in found.tolist()} == {"login of user <*> from <*> was refused"}


def test_an_id_is_made_of_the_first_text_and_what_it_merges_with_keeps_an_alias() -> None:
    miner = Miner()
    first = miner.feed_texts(["session opened for user bob"]).tolist()[0]
    assert first == content_id("session opened for user bob")
    given_out = miner.feed_texts([f"session opened for user {name}" for name in ("alice", "carol", "dora", "emil")])
    assert set(miner.settled(given_out).tolist()) == {first}
    assert miner.template(first).text() == "session opened for user <*>"
    assert all(miner.book.settle(each) == first for each in given_out.tolist())


def test_a_word_never_seen_in_a_known_place_costs_no_python() -> None:
    miner = Miner()
    miner.feed_texts(lines_of(2000, junk=0))
    templates, shapes = len(miner.book.templates), miner.shapes.shapes
    miner.feed_texts([f"session opened for user newcomer{chr(97 + i)}x by uid 5" for i in range(26)])
    assert (len(miner.book.templates), miner.shapes.shapes) == (templates, shapes)


@pytest.mark.parametrize("cuts", [[1, 2, 3, 1500], [700, 1400], list(range(40, 3000, 97))])
@pytest.mark.parametrize("kill", [False, True])
def test_ids_do_not_depend_on_cuts_kills_and_restores_even_while_templates_are_evicted(
    cuts: list[int], *, kill: bool
) -> None:
    lines = lines_of(3000)
    whole, miner = fed(lines, [], kill=False)
    again, other = fed(lines, cuts, kill=kill)
    assert again == whole
    assert miner.book.evicted == other.book.evicted > 100
    assert snapshot(miner)["miner_keys"].tolist() == snapshot(other)["miner_keys"].tolist()


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 399), max_size=6, unique=True), st.integers(0, 9))
def test_any_cut_of_any_stream_gives_the_same_ids(cuts: list[int], seed: int) -> None:
    lines = lines_of(400, junk=0.3, seed=seed)
    assert fed(lines, sorted(cuts), kill=True)[0] == fed(lines, [], kill=False)[0]


def test_what_was_evicted_comes_back_under_its_id() -> None:
    miner = Miner(SMALL)
    before = miner.feed_texts(["disk sda is full", "disk sda is full"]).tolist()
    miner.feed_texts(lines_of(3000, junk=0.9))
    assert before[0] not in miner.book.templates
    assert miner.feed_texts(["disk sda is full"]).tolist() == before[:1]
    assert miner.fresh == [], "it is no news"


def test_templates_with_variables_outlive_junk() -> None:
    miner = Miner(SMALL)
    miner.feed_texts(lines_of(500, junk=0))
    kept = {identity for identity, template in miner.book.templates.items() if template.merged}
    miner.feed_texts(lines_of(5000, junk=1.0))
    assert kept
    assert kept <= set(miner.book.templates)


def test_memory_is_bounded_by_templates_and_shapes() -> None:
    miner = Miner(SMALL)
    sizes = []
    for turn in range(12):
        miner.feed_texts(lines_of(1000, junk=1.0, seed=turn))
        sizes.append(sum(len(bytes(each)) for each in snapshot(miner).values()))
    assert len(miner.book.templates) <= SMALL.most_templates
    assert miner.shapes.shapes <= SMALL.most_shapes
    assert len(miner.shapes.known.vocabulary) <= 8192
    assert max(sizes[6:]) < 1.1 * max(sizes[:6])


def test_a_new_statement_is_told_once_and_a_new_value_is_not() -> None:
    miner = Miner()
    miner.feed_texts(lines_of(2000, junk=0))
    miner.feed_texts(["session opened for user somebody by uid 7", "machine 7 was paused ok"])
    assert miner.fresh == []
    miner.feed_texts(["took 1 s, from 10.0.0.1", "fan 3 stands still", "fan 4 stands still"])
    assert [(fresh.line, fresh.text) for fresh in miner.fresh] == [(1, "fan <*> stands still")]


def test_words_around_stay_a_constant_when_all_else_varies() -> None:
    miner = Miner()
    rng = random.Random(2)  # noqa: S311 - no secret
    words = ["".join(rng.choices(string.ascii_lowercase, k=7)) for _ in range(200)]
    assert len(set(miner.feed_texts(words).tolist())) == 200, "a line of one word has nothing else to be known by"


def test_so_many_words_at_one_place_are_a_variable_whatever_they_look_like() -> None:
    miner = Miner()
    lines = [f"{chr(97 + i % 26)}{chr(97 + i // 26)}started finished now well" for i in range(2 * MANY)]
    assert len(set(miner.settled(miner.feed_texts(lines)).tolist())) == 1


def test_forms_of_one_statement_share_an_id() -> None:
    miner = Miner()
    found = miner.feed_texts(
        ["acquire lock=5, tag=x, ws=null, uid=3 pid 4", "acquire lock=5, tag=x, ws=WorkSource{10}, uid=3 pid 4"]
    ).tolist()
    assert found[0] == found[1]


def test_a_state_of_another_version_or_of_nobody_is_corrupt() -> None:
    miner = Miner(SMALL)
    miner.feed_texts(lines_of(50))
    state = snapshot(miner)
    for broken in (
        {},
        {**state, "miner": b"{}"},
        {**state, "miner": state["miner"].replace(b'"version":1', b'"version":9')},
    ):
        with pytest.raises(Corrupt, match="replay the journal"):
            restore(Miner(SMALL), broken)


def test_the_fitted_model_names_known_features_and_gives_probabilities() -> None:
    judge = fitted()
    seen: list[float] = []

    def spy(group: Group) -> float:
        assert features(group).shape == (len(NAMES),)
        seen.append(judge(group))
        return seen[-1]

    Miner(judge=spy).feed_texts(lines_of(500, junk=0))
    assert seen
    assert all(0 <= each <= 1 for each in seen)
    with pytest.raises(ConfigError, match="no feature is called colour"):
        Logistic({"colour": 1.0})


def test_nothing_comes_of_nothing() -> None:
    miner = Miner()
    assert miner.feed_texts([]).tolist() == []
    assert miner.lines == 0
