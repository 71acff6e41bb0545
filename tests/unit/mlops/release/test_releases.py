"""The way to live has rules, the chain only grows, and who answers follows from it alone."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.mlops import toys
from twofold.errors import Conflict, Denied, InputError, NotFound, TwofoldError
from twofold.mlops.release.releases import Releases, change_of
from twofold.mlops.traffic import fold
from twofold.records.event import ChangeKind, EventKind
from twofold.records.model import Release, ReleaseStage
from twofold.store.blobs.files import FileBlobs
from twofold.store.ledger.sql import SqlLedger

SHADOW, CANARY, LIVE = ReleaseStage.SHADOW, ReleaseStage.CANARY, ReleaseStage.LIVE


@pytest.fixture
def releases(ledger: SqlLedger, blobs: FileBlobs) -> Releases:
    """Four versions of `toy`, the fourth with a failed gate, the fifth judged by none."""
    clock = toys.Clock()
    for number in range(3):
        toys.register(ledger, blobs, bytes([number + 1]), now=clock)
    toys.register(ledger, blobs, b"4", gates=(toys.PASSED, toys.FAILED), now=clock)
    toys.register(ledger, blobs, b"5", gates=(), now=clock)
    return Releases(ledger, clock)


def put(releases: Releases, version: str, stage: ReleaseStage, **more: Any) -> Release:
    return releases.release("toy", version, stage, approver="ann", reason="because", **more)


def test_the_first_version_may_go_live_at_once(releases: Releases) -> None:
    made = put(releases, "1", LIVE)
    assert (made.seq, made.weight, made.previous) == (1, 1.0, "")
    assert releases.traffic("toy") == [("1", LIVE, 1.0)]
    assert "gate schema" in made.evidence[0]


def test_a_successor_goes_by_shadow_and_canary(releases: Releases) -> None:
    put(releases, "1", LIVE)
    with pytest.raises(Conflict, match="seen no traffic"):
        put(releases, "2", LIVE)
    put(releases, "2", SHADOW)
    assert releases.traffic("toy") == [("1", LIVE, 1.0), ("2", SHADOW, 0.0)]
    put(releases, "2", CANARY, weight=0.1)
    assert releases.traffic("toy") == [("1", LIVE, 0.9), ("2", CANARY, 0.1)]
    put(releases, "2", CANARY, weight=0.5)
    made = put(releases, "2", LIVE)
    assert made.previous == "1"
    assert releases.traffic("toy") == [("2", LIVE, 1.0)]
    assert [one.seq for one in releases.history("toy")] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("stage", [SHADOW, CANARY, LIVE])
@pytest.mark.parametrize(("version", "why"), [("4", "failed 1 of 2 gates"), ("5", "no gate")])
def test_a_version_that_has_not_passed_is_refused_in_every_stage(
    releases: Releases, stage: ReleaseStage, version: str, why: str
) -> None:
    put(releases, "1", LIVE)
    with pytest.raises(Conflict, match=why):
        put(releases, version, stage, weight=0.1)
    assert len(releases.history("toy")) == 1


def test_nothing_happens_without_a_person_and_a_reason(releases: Releases) -> None:
    with pytest.raises(Denied):
        releases.release("toy", "1", LIVE, approver=" ", reason="x")
    with pytest.raises(InputError, match="reason"):
        releases.release("toy", "1", LIVE, approver="ann", reason=" ")
    with pytest.raises(Denied):
        releases.rollback("toy", approver="", reason="x")
    assert releases.history("toy") == []


def test_other_rules_of_the_way(releases: Releases) -> None:
    with pytest.raises(NotFound):
        put(releases, "9", LIVE)
    with pytest.raises(Conflict, match="no version of toy is live"):
        put(releases, "1", CANARY, weight=0.1)
    with pytest.raises(InputError, match="rollback"):
        put(releases, "1", ReleaseStage.ROLLED_BACK)
    put(releases, "1", LIVE)
    for weight in (0.0, 1.0, -1.0, 7.0):
        with pytest.raises(InputError, match="weight"):
            put(releases, "2", CANARY, weight=weight)
    with pytest.raises(Conflict, match="live already"):
        put(releases, "1", LIVE)
    with pytest.raises(Conflict, match="is live"):
        put(releases, "1", SHADOW)
    with pytest.raises(Conflict, match="is live"):
        put(releases, "1", ReleaseStage.RETIRED)
    with pytest.raises(Conflict, match="nothing to retire"):
        put(releases, "3", ReleaseStage.RETIRED)
    put(releases, "2", CANARY, weight=0.6)
    with pytest.raises(Conflict, match="canary already"):
        put(releases, "2", CANARY, weight=0.6)
    with pytest.raises(Conflict, match="all traffic"):
        put(releases, "3", CANARY, weight=0.4)
    put(releases, "3", SHADOW)
    put(releases, "3", ReleaseStage.RETIRED)
    assert releases.traffic("toy") == [("1", LIVE, 0.4), ("2", CANARY, 0.6)]


def test_rollback_brings_back_what_was_live_before_in_one_entry(releases: Releases) -> None:
    for version in ("1", "2", "3"):
        if version != "1":
            put(releases, version, SHADOW)
        put(releases, version, LIVE)
    before = len(releases.history("toy"))
    made = releases.rollback("toy", approver="bob", reason="drift", evidence=("incident i-1",))
    assert (made.version, made.stage, made.previous) == ("3", ReleaseStage.ROLLED_BACK, "2")
    assert len(releases.history("toy")) == before + 1
    assert releases.live("toy") == "2"
    releases.rollback("toy", approver="bob", reason="also bad")
    assert releases.live("toy") == "1"
    with pytest.raises(Conflict, match="nothing to go back to"):
        releases.rollback("toy", approver="bob", reason="again")
    put(releases, "3", SHADOW)
    put(releases, "3", LIVE)
    assert releases.rollback("toy", approver="bob", reason="again").previous == "1"


def test_a_named_rollback_that_is_repeated_takes_back_no_second_version(releases: Releases) -> None:
    put(releases, "1", LIVE)
    put(releases, "2", SHADOW)
    put(releases, "2", LIVE)
    releases.rollback("toy", approver="bob", reason="drift", version="2")
    with pytest.raises(Conflict, match="2 is not live"):
        releases.rollback("toy", approver="bob", reason="drift", version="2")
    assert releases.live("toy") == "1"


def test_a_canary_is_rolled_back_and_live_stays(releases: Releases) -> None:
    put(releases, "1", LIVE)
    put(releases, "2", CANARY, weight=0.2)
    made = releases.rollback("toy", approver="twofold", reason="errors", version="2")
    assert made.previous == "1"
    assert releases.traffic("toy") == [("1", LIVE, 1.0)]


def test_a_shadow_and_an_unknown_model_cannot_be_rolled_back(releases: Releases) -> None:
    put(releases, "1", LIVE)
    put(releases, "2", SHADOW)
    with pytest.raises(Conflict, match="not live"):
        releases.rollback("toy", approver="bob", reason="x", version="2")
    with pytest.raises(Conflict, match="not live"):
        releases.rollback("none", approver="bob", reason="x")


def test_two_approvers_at_once_cannot_both_be_right(releases: Releases, ledger: SqlLedger) -> None:
    put(releases, "1", LIVE)
    put(releases, "2", SHADOW)
    outcomes: list[str] = []

    def promote() -> None:
        try:
            outcomes.append(Releases(ledger).release("toy", "2", LIVE, approver="x", reason="y").id)
        except Conflict as error:
            outcomes.append(error.message)

    threads = [Thread(target=promote) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcome.startswith("toy#") for outcome in outcomes) == [False] * 5 + [True]


def test_a_release_is_a_change_of_its_model(releases: Releases) -> None:
    put(releases, "1", LIVE)
    put(releases, "2", SHADOW)
    live = change_of(put(releases, "2", LIVE))
    assert (live.kind, live.change, live.entity, live.version) == (
        EventKind.CHANGE,
        ChangeKind.PROMOTION,
        "model:toy",
        "2",
    )
    assert live.attributes["previous"] == "1"
    back = change_of(releases.rollback("toy", approver="bob", reason="drift"))
    assert (back.change, back.version, back.attributes["previous"]) == (ChangeKind.ROLLBACK, "1", "2")
    assert len({change_of(one).id for one in releases.history("toy")}) == 4


def test_a_long_chain_is_read_whole(releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twofold.mlops.traffic._PAGE", 3)
    put(releases, "1", LIVE)
    for step in range(8):
        put(releases, "2", CANARY, weight=0.1 + step / 100)
    assert [one.seq for one in releases.history("toy")] == list(range(1, 10))


_ACTS = st.lists(
    st.tuples(st.sampled_from([SHADOW, CANARY, LIVE, ReleaseStage.RETIRED, None]), st.sampled_from("123")), max_size=25
)


@given(_ACTS)
@example([(LIVE, "1"), (SHADOW, "3"), (LIVE, "3"), (SHADOW, "1"), (None, "3")])  # what comes back was shadowing
def test_whatever_is_asked_shares_sum_to_one_and_live_never_vanishes(
    acts: list[tuple[ReleaseStage | None, str]],
) -> None:
    """Property over the pure rules: the chain in memory instead of SQL."""
    memory = _MemoryLedger()
    releases = Releases(memory, toys.Clock())  # type: ignore[arg-type]  # only the calls that releases make
    went_live = False
    for stage, version in acts:
        try:
            if stage is None:
                releases.rollback("toy", approver="a", reason="r", version=version)
            else:
                releases.release("toy", version, stage, approver="a", reason="r", weight=0.3)
        except TwofoldError:
            continue
        traffic = fold(memory.chain)
        went_live = went_live or bool(traffic.live)
        if went_live:
            assert traffic.live
            assert sum(weight for _, _, weight in traffic.table()) == pytest.approx(1)
        stages = [one for one, _, _ in traffic.table()]
        assert len(stages) == len(set(stages)), "a version stands in one stage"


class _MemoryLedger:
    def __init__(self) -> None:
        self.chain: list[Release] = []

    def get(self, _kind: type, key: str, *, tenant: str) -> Any:
        del tenant
        return _version(key)

    def find(self, _kind: type, *, after: str = "", **_more: Any) -> list[Release]:
        return [] if after else list(self.chain)

    def append_next(self, _kind: type, build: Any, **_more: Any) -> Release:
        self.chain.append(build(None))
        return self.chain[-1]


def _version(key: str) -> Any:
    from twofold.records.model import ModelKind, ModelVersion  # noqa: PLC0415 - used once

    model, number = key.split("@")
    return ModelVersion(
        id=key,
        model=model,
        version=number,
        kind=ModelKind.SERVED,
        format="skops",
        artifact="",
        artifact_sha256="",
        created=toys.START,
        gates=(toys.PASSED,),
    )
