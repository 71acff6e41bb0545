"""An objective from spans to a page: one incident, rightly named, that closes once; the same live and replayed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.detect.telemetry import MemoryCatalog, ns, span, spans
from twofold.aiops.correlate.stage import Correlate
from twofold.aiops.detect.panel import Panel
from twofold.aiops.detect.red import Red
from twofold.aiops.detect.slo import Slos
from twofold.aiops.diagnose.stage import Diagnose
from twofold.aiops.topology.learn import Topology
from twofold.flow.pipeline import Pipeline
from twofold.flow.stage import Stage
from twofold.records.alert import Alert, AlertState, Severity
from twofold.records.diagnosis import Diagnosis
from twofold.records.finding import Finding, FindingState
from twofold.records.frame import Lane
from twofold.records.incident import Incident, IncidentState
from twofold.records.slo import BURN, SLOW_BURN, Slo
from twofold.records.time import to_datetime

ERRORS = Slo(name="orders go through", entity="service:checkout", objective=0.99)
SLOWNESS = Slo(name="orders within 300 ms", entity="service:checkout", objective=0.99, threshold_s=0.3)
LATENESS_NS = 6 * 10**9

Minute = tuple[int, int, int]
"""Good, failed and slow requests."""


@dataclass
class Plant:
    """The stages between spans and a diagnosis, and the newest of every record that they made."""

    slos: Sequence[Slo]
    panel: bool = True
    seen: dict[tuple[type, str], object] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.catalog = MemoryCatalog()
        self.pipeline = self._pipeline()
        self.minute = 0

    def _pipeline(self) -> Pipeline:
        detector: list[Stage] = [Red(self.catalog), Panel(self.catalog)] if self.panel else []
        stages: list[Stage] = [
            Topology(),
            Slos(self.slos, self.catalog),
            *detector,
            Correlate(lane=Lane.LIVE),
            Diagnose(),
        ]
        return Pipeline(stages, lane=Lane.LIVE, lateness_ns=LATENESS_NS)

    def restart(self) -> None:
        """Go on from a checkpoint."""
        states = self.pipeline.snapshot()
        self.pipeline = self._pipeline()
        self.pipeline.restore(states)

    def run(self, count: int, *, good: int, bad: int = 0, slow: int = 0) -> Plant:
        """So many minutes, pushed in parts of 15 seconds; bad requests evenly among the good ones."""
        for _ in range(count):
            rows = requests(self.minute, (good, bad, slow))
            for part in range(4):
                mine = [row for row in rows if part * 15 <= second_of(row, self.minute) < part * 15 + 15]
                self.push(mine, self.minute * 60 + part * 15 + 15)
            self.minute += 1
        return self

    def push(self, rows: Sequence[dict[str, object]], at_s: float) -> None:
        items = [spans(*rows)] if rows else []
        for made in self.pipeline.push(items, event_ns=ns(at_s), received_ns=ns(at_s)):
            if isinstance(made, Finding):
                self.findings.append(made)
            if isinstance(made, Incident):
                self.incidents.append(made)
            if isinstance(made, Alert | Incident | Diagnosis):
                self.seen[type(made), made.id] = made

    def now(self, kind: type) -> list[object]:
        """The newest of every record of a type."""
        return [each for (known, _), each in self.seen.items() if known is kind]


def requests(minute: int, counts: Minute) -> list[dict[str, object]]:
    good, bad, slow = counts
    total = good + bad + slow
    kinds = sorted(
        [(n + 0.5) / max(1, each), kind]
        for kind, each in (("", good), ("bad", bad), ("slow", slow))
        for n in range(each)
    )
    return [
        span(
            "service:checkout",
            f"{minute}-{n}",
            at_s=minute * 60 + n * 58 / total,
            kind=2,
            ms=600 if kind == "slow" else 20 + n % 7,
            error=kind == "bad",
        )
        for n, (_, kind) in enumerate(kinds)
    ]


def second_of(row: dict[str, object], minute: int) -> float:
    return (int(str(row["start_ns"])) - ns(minute * 60)) / 1e9


def turns(findings: Iterable[Finding], metric: str = BURN) -> list[FindingState]:
    states: list[FindingState] = []
    for each in findings:
        if each.metric == metric and (not states or states[-1] is not each.state):
            states.append(each.state)
    return states


def the_incident(plant: Plant) -> Incident:
    (found,) = plant.now(Incident)
    assert isinstance(found, Incident)
    return found


@pytest.mark.parametrize(("slo", "bad", "slow"), [(ERRORS, 30, 0), (SLOWNESS, 0, 30)])
def test_a_burn_alone_opens_one_incident_with_its_name_that_closes_once(slo: Slo, bad: int, slow: int) -> None:
    """No detector of series looks: what people declared is reason enough."""
    plant = Plant([slo], panel=False).run(60, good=60).run(45, good=70, bad=bad, slow=slow)
    incident = the_incident(plant)
    assert incident.state is IncidentState.OPEN
    assert incident.title == "checkout: error budget burns 30 x as fast as allowed"
    assert incident.severity is Severity.CRITICAL
    assert incident.start == to_datetime(ns(60 * 60)), "when bad requests began"
    assert (incident.detected - incident.start).total_seconds() <= 31 * 60
    (diagnosis,) = plant.now(Diagnosis)
    assert isinstance(diagnosis, Diagnosis)
    assert diagnosis.suspects[0].entity == "service:checkout"
    plant.run(180, good=60)
    assert the_incident(plant).state is IncidentState.RESOLVED
    assert turns(plant.findings) == [FindingState.OPEN, FindingState.CLOSED]
    assert {each.state for each in plant.now(Alert) if isinstance(each, Alert) and each.signal == BURN} == {
        AlertState.RESOLVED
    }


def test_errors_that_come_and_go_are_one_incident_without_flapping() -> None:
    plant = Plant([ERRORS], panel=False).run(60, good=60)
    for _ in range(12):
        plant.run(2, good=0, bad=60).run(8, good=60)
    assert the_incident(plant).state is IncidentState.OPEN
    plant.run(90, good=60)
    assert the_incident(plant).state is IncidentState.RESOLVED
    assert turns(plant.findings) == [FindingState.OPEN, FindingState.CLOSED]


def test_a_slow_burn_is_a_warning_and_opens_no_incident() -> None:
    plant = Plant([ERRORS], panel=False).run(1500, good=20).run(1200, good=19, bad=1)
    assert plant.now(Incident) == []
    (alert,) = plant.now(Alert)
    assert isinstance(alert, Alert)
    assert (alert.signal, alert.severity, alert.state) == (SLOW_BURN, Severity.WARNING, AlertState.FIRING)
    assert alert.title == "checkout: error budget keeps burning, 5 x as fast as allowed"


def test_a_burn_joins_the_incident_of_the_errors_it_is_made_of() -> None:
    plant = Plant([ERRORS, SLOWNESS]).run(90, good=120).run(40, good=20, bad=100)
    incident = the_incident(plant)
    assert incident.title == "checkout: error ratio 83 %", "what shows by itself names it"
    signals = {each.signal for each in plant.now(Alert) if isinstance(each, Alert) and each.incident == incident.id}
    assert BURN in signals
    assert incident.start >= to_datetime(ns(89 * 60))


def test_eight_minutes_of_telemetry_prove_nothing_about_three_days() -> None:
    plant = Plant([ERRORS], panel=False).run(15, good=85, bad=15)
    assert plant.findings == []


MINUTES = st.lists(
    st.tuples(
        st.integers(10, 40),
        st.sampled_from([(12, 0, 0), (6, 6, 0), (0, 12, 0), (11, 1, 0), (0, 0, 0), (6, 0, 6), (1, 1, 0)]),
    ),
    min_size=2,
    max_size=5,
)


@settings(max_examples=12, deadline=None)
@given(parts=MINUTES, cut_s=st.sampled_from([5, 60, 600]), restart=st.integers(0, 100))
def test_findings_are_the_same_live_and_replayed(parts: list[tuple[int, Minute]], cut_s: int, restart: int) -> None:
    """Replayed in other frames or restarted on the way: the same claims at the same times, and the same incidents."""
    rows: list[list[dict[str, object]]] = []
    for count, kind in parts:
        begin = len(rows)
        rows += [requests(begin + n, kind) for n in range(count)]
    live, again = Plant([ERRORS, SLOWNESS], panel=False), Plant([ERRORS, SLOWNESS], panel=False)
    for plant, step in ((live, 15), (again, cut_s)):
        flat = [row for minute in rows for row in minute]
        end = len(rows) * 60
        at = 0
        for now in range(step, end + step, step):
            until = at
            while until < len(flat) and second_of(flat[until], 0) < now - 1:
                until += 1
            plant.push(flat[at:until], min(now, end))
            at = until
            if plant is again and now // step == restart:
                plant.restart()
    assert told(again) == told(live)
    assert last(again) == last(live)


def told(plant: Plant) -> list[tuple[str, str, float, float]]:
    return [(each.id, each.state, each.seen.timestamp(), each.value) for each in plant.findings]


def last(plant: Plant) -> set[tuple[object, ...]]:
    found = [each for each in plant.now(Incident) if isinstance(each, Incident)]
    return {(each.id, each.state, each.title, each.start, each.end, each.alerts) for each in found}
