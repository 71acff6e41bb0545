"""Detectors are governed like models: shadow first, and taken back when people call their pages wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.flow.plant import GATE, START_NS, Plant, Steps
from twofold.aiops.detect.config import PanelConfig
from twofold.app.models import ModelProcess
from twofold.config import Config
from twofold.errors import Conflict, InputError, NotFound
from twofold.joints.backtests import Backtests
from twofold.joints.config import ShadowConfig, TrustConfig
from twofold.joints.contest import must_win
from twofold.joints.detectors import configure
from twofold.joints.outcomes import newly_judged
from twofold.joints.rehearsals import rehearsal, shadow_gates
from twofold.joints.remedies import request_training
from twofold.joints.settings import demand_replayable
from twofold.joints.shadow import Shadow
from twofold.joints.successions import running_shadow
from twofold.joints.trust import Trusts
from twofold.joints.tuning import Plan, Tuning, ensure_project
from twofold.records.alert import Alert
from twofold.records.backtest import Backtest
from twofold.records.codec import to_json
from twofold.records.event import ChangeKind, Event
from twofold.records.finding import Finding
from twofold.records.forecast import Forecast, ForecastState
from twofold.records.frame import Position
from twofold.records.incident import Incident, TimelineEntry
from twofold.records.model import ModelKind, ModelVersion, Release, ReleaseStage, Run, RunState
from twofold.records.shadow import ShadowFinding, ShadowPage, ShadowTime
from twofold.records.time import SECOND_NS, to_datetime
from twofold.records.trust import Trust
from twofold.records.verdict import Verdict, VerdictSubject, VerdictValue
from twofold.store.history.delta import DeltaHistory

SLOW = {"shop latency": 2.0}


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    made = Plant(tmp_path)
    yield made
    made.close()


def offer(plant: Plant, config: PanelConfig, *stages: ReleaseStage) -> ModelVersion:
    """Register a version and put it into these stages, as the first process hears of it."""
    candidate = plant.registry.config_candidate("panel", ModelKind.DETECTOR, to_json(config), owner="ann")
    version = plant.registry.register(candidate, [GATE])
    for stage in stages:
        plant.releases.release("panel", version.version, stage, approver="ann", reason="try")
    reload(plant)
    return version


def reload(plant: Plant) -> None:
    plant.follow()
    if plant.released.refresh():
        plant.runner.rebuild()


def say(plant: Plant, incident: Incident, value: VerdictValue, *, about: str = "") -> None:
    """Of the incident as a group, or `about` one suspect of it."""
    verdict = Verdict(
        id=f"v-{incident.id}",
        subject=VerdictSubject.SUSPECT if about else VerdictSubject.GROUP,
        ref=about or incident.id,
        incident=incident.id,
        value=value,
        author="robin",
        time=plant.now(),
    )
    plant.ledger.put(verdict)


# Shadow first


def test_a_shadow_claims_beside_the_live_version_and_neither_alerts_nor_pages(plant: Plant) -> None:
    plant.run(900)
    offer(plant, PanelConfig(persist_s=20.0), ReleaseStage.SHADOW)
    plant.run(60)
    plant.run(120, SLOW)
    (finding,) = plant.ledger.find(Finding, tenant="main")
    (beside,) = plant.ledger.find(ShadowFinding, tenant="main")
    assert (finding.detector, beside.detector) == ("panel@1", "panel@2")
    assert beside.id == f"panel@2/{finding.id}", "the same trouble under the same id"
    (incident,) = plant.ledger.find(Incident, tenant="main")
    (page,) = plant.ledger.find(ShadowPage, tenant="main")
    assert page.entities == incident.entities
    assert page.detected >= incident.detected, "it waits longer"
    assert len(plant.ledger.find(Alert, tenant="main")) == len(incident.alerts)


def test_it_begins_with_what_the_live_version_has_learnt(plant: Plant) -> None:
    plant.run(900)
    offer(plant, PanelConfig(persist_s=20.0), ReleaseStage.SHADOW)
    plant.run(60, SLOW)
    assert plant.ledger.find(ShadowFinding, tenant="main"), "no warming up of its own"


def test_one_of_another_layout_begins_from_nothing(plant: Plant) -> None:
    plant.run(60)
    pipeline = next(iter(plant.runner._pipelines.values()))
    shadow = Shadow(plant.catalog, detector="panel@2")
    shadow.seed({"panel": {**pipeline.snapshot()["panel"], "layout": b"another"}})
    assert len(shadow._panel) == 0
    shadow.seed(pipeline.snapshot())
    assert len(shadow._panel) == 5


def test_what_it_knows_survives_a_restart(plant: Plant) -> None:
    plant.run(900)
    offer(plant, PanelConfig(persist_s=20.0), ReleaseStage.SHADOW)
    plant.run(60)
    plant.run(90, SLOW)
    plant.restart()
    plant.run(90, SLOW)
    plant.run(300)
    (beside,) = plant.ledger.find(ShadowFinding, tenant="main")
    (page,) = plant.ledger.find(ShadowPage, tenant="main")
    assert beside.state.value == "closed"
    assert page.state.value == "resolved"


def test_what_it_would_have_paged_is_held_against_what_did_page(plant: Plant) -> None:
    plant.run(900)
    deaf = offer(plant, PanelConfig(least_score=1e6), ReleaseStage.SHADOW)
    plant.run(60)
    plant.run(120, SLOW)
    found = rehearsal(plant.ledger, "panel", deaf.version, tenant="main", now=plant.now())
    (incident,) = plant.ledger.find(Incident, tenant="main")
    assert (found.pages, found.champion_pages, found.both) == (0, 1, 0)
    assert found.only_champion == (incident.id,)
    assert found.excess == 1.0
    time, pages = shadow_gates(found, ShadowConfig(least_s=600.0))
    assert (time.passed, pages.passed) == (False, True), "three minutes are not ten"
    with pytest.raises(Conflict, match="does not shadow"):
        rehearsal(plant.ledger, "panel", "1", tenant="main", now=plant.now())


def test_its_cost_is_bounded_by_the_series_it_sees(plant: Plant) -> None:
    plant.run(900)
    offer(plant, PanelConfig(persist_s=20.0), ReleaseStage.SHADOW)
    plant.run(5)
    pipeline = next(iter(plant.runner._pipelines.values()))
    shadow = pipeline.stages[-1]
    shadow._limits = ShadowConfig(most_series=2)  # type: ignore[attr-defined]  # the stage is a shadow
    plant.run(30)
    assert shadow.dropped["beyond_most_series"] == 6 * 3  # type: ignore[attr-defined]  # the stage is a shadow


def judged_s(plant: Plant) -> float:
    """Seconds that the running shadow has judged."""
    running = running_shadow(plant.releases, "panel")
    assert running is not None
    return rehearsal(plant.ledger, "panel", running.version, tenant="main", now=plant.now()).judged_s


def test_only_time_with_telemetry_counts_for_a_shadow(plant: Plant) -> None:
    plant.run(120)
    offer(plant, PanelConfig(persist_s=20.0), ReleaseStage.SHADOW)
    assert judged_s(plant) == 0.0, "it has seen nothing yet"
    plant.run(600)
    assert judged_s(plant) == pytest.approx(600, abs=65)
    plant.now_ns += 3 * 3600 * SECOND_NS
    assert judged_s(plant) == pytest.approx(600, abs=65), "hours in which nothing came"
    plant.run(300)
    assert judged_s(plant) == pytest.approx(600 + 300 + 300, abs=65), "a hole counts five minutes"
    plant.restart()
    plant.run(300)
    assert judged_s(plant) == pytest.approx(1500, abs=65)
    (told,) = plant.ledger.find(ShadowTime, tenant="main")
    plant.ledger.put(replace(told, id=f"{told.run}/1", judged_s=60.0, points=7))
    beside = rehearsal(plant.ledger, "panel", "2", tenant="main", now=plant.now())
    assert (beside.judged_s, beside.points) == (told.judged_s, told.points + 7), "another partition tells of its own"


def test_the_next_shadow_ends_the_one_before_which_earns_nothing_more(plant: Plant) -> None:
    models = ModelProcess(plant.ledger, plant.blobs)
    plant.run(60)
    for version in (offer(plant, PanelConfig(persist_s=20.0)), offer(plant, PanelConfig(persist_s=25.0))):
        models.release(
            "panel",
            version=version.version,
            stage=ReleaseStage.SHADOW,
            weight=None,
            reason="try",
            actor="ann",
            tenant="main",
        )
        reload(plant)
        plant.run(600)
    last = plant.releases.history("panel")[-1]
    assert (last.version, last.stage, last.approver) == ("2", ReleaseStage.RETIRED, "ann")
    assert last.reason == "panel@3 took its place as the shadow; one runs at a time"
    with pytest.raises(Conflict, match="panel@3 does, and one shadow runs at a time"):
        rehearsal(plant.ledger, "panel", "2", tenant="main", now=plant.now())
    plant.releases.release("panel", "2", ReleaseStage.SHADOW, approver="ann", reason="again")
    reload(plant)
    assert judged_s(plant) == 0.0, "what it judged before does not count for this run"


# Others of our own


def test_a_ranker_goes_live_only_after_it_named_causes_as_well_as_the_one_that_is(plant: Plant, tmp_path: Path) -> None:
    models = ModelProcess(plant.ledger, plant.blobs)
    plant.run(900)
    troubles(plant, 2)
    made = configure(plant.ledger, plant.blobs, "causes", {"max_evidence": 4}, description="", owner="a", tenant="main")

    def go(stage: ReleaseStage) -> Release:
        return models.release(
            "causes", version=made.version, stage=stage, weight=None, reason="x", actor="ann", tenant="main"
        )

    go(ReleaseStage.SHADOW)
    with pytest.raises(Conflict, match="run `twofold detectors compare causes 2` first"):
        go(ReleaseStage.LIVE)
    backtests = backtests_of(plant, tmp_path)
    end = plant.now()
    for version in ("1", "2"):
        asked = Backtest(
            id=version,
            model="causes",
            version=version,
            start=to_datetime(START_NS),
            end=end,
            warm_up_s=0.0,
            requester="ann",
            created=end,
        )
        done = backtests.judge(asked)
        assert {page.suspect for page in done.pages} == {"service:shop"}
        plant.ledger.put(done)
    evidence = go(ReleaseStage.LIVE).evidence
    assert "names the same first suspect as causes@1 for 2 of 2 pages" in evidence[0]


def test_a_forecaster_goes_live_only_when_a_person_accepts_that_nothing_compares_it(plant: Plant) -> None:
    models = ModelProcess(plant.ledger, plant.blobs)
    made = configure(plant.ledger, plant.blobs, "capacity", {"confirm": 3}, description="", owner="a", tenant="main")

    def go(stage: ReleaseStage, *, accept: bool = False) -> Release:
        return models.release(
            "capacity",
            version=made.version,
            stage=stage,
            weight=None,
            reason="x",
            actor="ann",
            tenant="main",
            accept_unknown=accept,
        )

    go(ReleaseStage.SHADOW)
    with pytest.raises(Conflict, match="cannot tell whether capacity@2 forecasts better"):
        go(ReleaseStage.LIVE)
    assert "accepted by ann" in go(ReleaseStage.LIVE, accept=True).evidence[0]
    with pytest.raises(InputError, match=r"capacity is a forecaster; backtests replay panel .* `twofold forecasts`"):
        demand_replayable(made)


def test_a_model_that_there_is_not_cannot_be_rolled_back(plant: Plant) -> None:
    with pytest.raises(NotFound, match="no model 'nope'; there are capacity, causes, panel"):
        ModelProcess(plant.ledger, plant.blobs).rollback("nope", reason="x", actor="ann", tenant="main")


# Taken back


def troubles(plant: Plant, many: int) -> list[Incident]:
    """So many separate incidents, newest last."""
    before = {one.id for one in plant.ledger.find(Incident, tenant="main", limit=1000)}
    for _ in range(many):
        plant.run(120, SLOW)
        plant.run(900)
    found = plant.ledger.find(Incident, tenant="main", limit=1000, newest_first=False)
    return [one for one in found if one.id not in before]


def of_panel(trusts: Trusts) -> Trust:
    """How far the detector is trusted, after what lost trust was taken back."""
    return next(one for one in trusts.check(tenant="main") if one.model == "panel")


def test_a_live_version_that_people_call_wrong_is_taken_back_on_the_running_stream(plant: Plant) -> None:
    plant.run(900)
    for incident in troubles(plant, 4):
        say(plant, incident, VerdictValue.RIGHT)
    offer(plant, PanelConfig(persist_s=15.0), ReleaseStage.SHADOW, ReleaseStage.LIVE)
    trusts = Trusts(plant.ledger, TrustConfig(false_per_day=1000.0), now=plant.now)
    plant.run(60)
    first, second, third = troubles(plant, 3)
    assert {one.detector for one in plant.ledger.find(Finding, tenant="main", since=first.start)} == {"panel@2"}
    say(plant, first, VerdictValue.NOISE)
    say(plant, second, VerdictValue.WRONG)
    trust = of_panel(trusts)
    assert (trust.live.right, trust.live.false, trust.lost) == (0, 2, ""), "two say little"
    assert trust.champion is not None
    assert (trust.champion.right, trust.champion.false) == (4, 0)
    say(plant, third, VerdictValue.WRONG)
    trust = of_panel(trusts)
    assert trust.lost.startswith("3 of 3 judged pages were false, 0 of 4 of panel@1's")
    release = plant.releases.history("panel")[-1]
    assert (release.stage, release.version, release.previous) == (ReleaseStage.ROLLED_BACK, "2", "1")
    assert release.approver == "twofold"
    assert release.evidence == tuple(f"incident {one.id} was called false" for one in (third, second, first))
    lines = plant.ledger.find(TimelineEntry, tenant="main", where={"incident": third.id})
    assert any("rolled back to panel@1" in line.text for line in lines)
    reload(plant)
    (again,) = troubles(plant, 1)
    assert {one.detector for one in plant.ledger.find(Finding, tenant="main", since=again.start)} == {"panel@1"}
    event = plant.ledger.get(Event, f"release:{release.id}", tenant="main")
    assert event.change is ChangeKind.ROLLBACK
    assert of_panel(trusts).lost == "", "what came back is not taken back in turn"


def test_a_ranker_that_names_the_wrong_cause_is_taken_back(plant: Plant) -> None:
    plant.run(900)
    for incident in troubles(plant, 4):
        say(plant, incident, VerdictValue.RIGHT, about="service:shop")
    made = configure(plant.ledger, plant.blobs, "causes", {"max_evidence": 4}, description="", owner="a", tenant="main")
    for stage in (ReleaseStage.SHADOW, ReleaseStage.LIVE):
        plant.releases.release("causes", made.version, stage, approver="ann", reason="try")
    reload(plant)
    plant.run(60)
    wrong = troubles(plant, 3)
    for incident in wrong:
        say(plant, incident, VerdictValue.RIGHT, about="model:recommender")
    trusts = {one.model: one for one in Trusts(plant.ledger, now=plant.now).check(tenant="main")}
    assert trusts["causes"].lost.startswith("3 of 3 judged first suspects were wrong, 0 of 4 of causes@1's")
    assert trusts["panel"].lost == "", "the pages were right"
    last = plant.releases.history("causes")[-1]
    assert (last.stage, last.previous, last.approver) == (ReleaseStage.ROLLED_BACK, "1", "twofold")
    assert set(last.evidence) == {f"incident {one.id} had another cause" for one in wrong}


def test_a_forecaster_whose_forecasts_do_not_come_true_is_taken_back(plant: Plant) -> None:
    def decided(model: str, many: int, state: ForecastState) -> None:
        plant.ledger.put(
            *(
                Forecast(
                    id=f"{model}-{state.value}-{number}",
                    entity="host:db",
                    series="00000000000000aa",
                    metric="system.filesystem.utilization",
                    limit=1.0,
                    value=0.9,
                    made=plant.now(),
                    seen=plant.now(),
                    horizon_s=3600.0,
                    claimed=0.9,
                    probability=0.9,
                    model=model,
                    reason="disk full in an hour",
                    state=state,
                )
                for number in range(many)
            )
        )

    decided("capacity@1", 6, ForecastState.HIT)
    made = configure(plant.ledger, plant.blobs, "capacity", {"confirm": 3}, description="", owner="a", tenant="main")
    for stage in (ReleaseStage.SHADOW, ReleaseStage.LIVE):
        plant.releases.release("capacity", made.version, stage, approver="ann", reason="try")
    plant.run(60)
    head = plant.ledger.head()
    decided("capacity@2", 2, ForecastState.WITHDRAWN)
    assert newly_judged(plant.ledger, plant.ledger.changes(head)) == set()
    decided("capacity@2", 4, ForecastState.MISSED)
    assert newly_judged(plant.ledger, plant.ledger.changes(head)) == {"main"}
    trusts = {one.model: one for one in Trusts(plant.ledger, now=plant.now).check(tenant="main")}
    assert trusts["capacity"].lost.startswith("4 of 4 decided forecasts did not come true, 0 of 6 of capacity@1's")
    assert plant.releases.live("capacity") == "1"


def test_false_pages_every_day_take_it_back_even_when_others_are_right(plant: Plant) -> None:
    plant.run(900)
    offer(plant, PanelConfig(persist_s=15.0), ReleaseStage.SHADOW, ReleaseStage.LIVE)
    plant.run(60)
    for number, incident in enumerate(troubles(plant, 6)):
        say(plant, incident, VerdictValue.RIGHT if number % 2 else VerdictValue.NOISE)
    trust = of_panel(Trusts(plant.ledger, now=plant.now))
    assert "false pages a day" in trust.lost
    assert plant.releases.live("panel") == "1"


def test_a_day_with_few_false_pages_is_borne(plant: Plant) -> None:
    plant.run(900)
    offer(plant, PanelConfig(persist_s=15.0), ReleaseStage.SHADOW, ReleaseStage.LIVE)
    plant.run(60)
    for number, incident in enumerate(troubles(plant, 6)):
        say(plant, incident, VerdictValue.RIGHT if number % 2 else VerdictValue.NOISE)
    later = Trusts(plant.ledger, now=lambda: plant.now() + timedelta(days=7))
    trust = of_panel(later)
    assert trust.lost == ""
    assert trust.live.low < 0.5 < trust.live.high


# Retrained


ERRORS, BUMP = {"shop errors": 0.3}, {"shop latency": 0.17}


def judged(plant: Plant, many: int) -> None:
    """So many incidents of each sort, by turns: errors that people call right, small bumps that they call noise."""
    for _ in range(many):
        for faults, value in ((ERRORS, VerdictValue.RIGHT), (BUMP, VerdictValue.NOISE)):
            before = {one.id for one in plant.ledger.find(Incident, tenant="main", limit=1000)}
            plant.run(120, faults)
            plant.run(600)
            for incident in plant.ledger.find(Incident, tenant="main", limit=1000):
                if incident.id not in before:
                    say(plant, incident, value)


def backtests_of(plant: Plant, home: Path) -> Backtests:
    """Over the history of what the plant measured."""
    history, at = DeltaHistory(home / "history"), Position(0, 0)
    while found := plant.journal.read(0, at):
        history.append(0, found)
        at = found[-1][0]
    config = Config(home=home)
    return Backtests(
        plant.ledger,
        plant.blobs,
        history,
        plant.catalog,
        correlate=config.correlate,
        lateness_s=config.lateness_s,
    )


def tuning_of(plant: Plant, home: Path) -> Tuning:
    """The worker's part."""
    return Tuning(plant.ledger, plant.blobs, backtests_of(plant, home), now=plant.now)


def train(plant: Plant, tuning: Tuning, **parameters: str) -> Run:
    project = ensure_project(plant.ledger)
    run = request_training(
        plant.ledger, project, requester="robin", key="k", now=plant.now(), seed=1, parameters=parameters
    )
    tuning.run(Steps(), {"run": run.id, "tenant": "main"})
    return plant.ledger.get(Run, run.id, tenant="main")


def test_a_detector_learns_from_verdicts_what_is_noise_and_shadows_as_a_version(plant: Plant, tmp_path: Path) -> None:
    plant.run(900)
    judged(plant, 4)
    run = train(plant, tuning_of(plant, tmp_path), trials="4", warm_up_s="900", least_labels="5")
    assert (run.state, run.error) == (RunState.SUCCEEDED, "")
    assert run.dataset.startswith("verdicts@")
    assert run.metrics["loss"] < run.metrics["loss_live"]
    version = plant.ledger.get(ModelVersion, "panel@2", tenant="main")
    assert (version.run, version.dataset) == (run.id, run.dataset)
    (floor,) = plant.registry.config(version)["floors"]
    assert floor.startswith("span.duration="), "what people called noise"
    assert {gate.name for gate in version.gates} >= {"probation_recall", "labelled_recall", "false_pages_service"}
    assert all(gate.passed for gate in version.gates), [gate for gate in version.gates if not gate.passed]
    assert plant.releases.traffic("panel")[-1][:2] == ("2", ReleaseStage.SHADOW)
    held = {one.version: one for one in plant.ledger.find(Backtest, tenant="main")}
    assert held["1"].figures is not None
    assert held["2"].figures is not None
    assert held["2"].figures.noise < held["1"].figures.noise, "on what it had not seen"
    assert held["2"].figures.found == held["2"].figures.labels
    later = plant.now() + timedelta(hours=2)
    with pytest.raises(Conflict, match="as the shadow it judged 0 min of telemetry"):
        must_win(plant.ledger, "panel", "2", tenant="main", now=later)
    reload(plant)
    plant.run(3700)
    with pytest.raises(Conflict, match="cannot tell how often it pages"):
        must_win(plant.ledger, "panel", "2", tenant="main", now=plant.now())
    evidence = must_win(plant.ledger, "panel", "2", tenant="main", now=plant.now(), accept_unknown="robin")
    assert next(line for line in evidence if "accepted by robin" in line).startswith("gate pages_per_week")


def test_too_few_verdicts_teach_nothing_and_the_run_says_so(plant: Plant, tmp_path: Path) -> None:
    plant.run(900)
    judged(plant, 1)
    run = train(plant, tuning_of(plant, tmp_path))
    assert run.state is RunState.FAILED
    assert run.error.startswith("2 incidents of the last 14 days are judged, 6 are needed")
    with pytest.raises(InputError, match="no parameter depth"):
        Plan.of({"depth": "3"})
