"""Grouping above partitions: incidents and diagnoses are those of one partition, also after a crash."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from tests.fleet import ALL, START_NS, Fleet
from tests.unit.detect.telemetry import line, logs, span, spans
from twofold.flow.homes import FIRST, partition_of
from twofold.records.alert import Alert
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.frame import FrameKind
from twofold.records.incident import Incident, TimelineEntry, TimelineKind
from twofold.records.slo import Slo, SloStatus
from twofold.records.time import SECOND_NS, to_datetime
from twofold.store.journal import batches

CHAIN = ("service:web", "service:checkout", "service:payment")
TICKS = 200
FAULT = range(130, 160)
SLOS = tuple(Slo(name=service, entity=service, threshold_s=0.2, window_s=7200.0) for service in CHAIN)


def tick(fleet: Fleet, number: int, rng: np.random.Generator) -> None:
    """Five seconds of three services that call each other, the last of them slow and loud in the fault."""
    at_s, slow_ms = number * 5.0, 400.0 * (number in FAULT)
    fleet.now_ns = START_NS + int((at_s + 1) * SECOND_NS)
    rows = []
    for request in range(8):
        parent = ""
        for depth, service in enumerate(CHAIN):
            key, ms = f"{number:05d}{request}{depth}", float(30 - 10 * depth + rng.exponential(3)) + slow_ms
            rows.append(span(service, f"s{key}", at_s=at_s, ms=ms, parent=parent, name="POST /"))
            if depth + 1 < len(CHAIN):
                parent = f"c{key}"
                rows.append(
                    span(service, parent, at_s=at_s, ms=ms - 2, kind=3, parent=f"s{key}", peer=CHAIN[depth + 1])
                )
    fleet.batch(FrameKind.SPANS, spans(*rows).data)
    if number in FAULT:
        fleet.batch(FrameKind.LOGS, logs(line(CHAIN[-1], "connection pool exhausted", at_s=at_s)).data)
    if number == FAULT.start - 2:
        fleet.events(
            Event(
                id="deploy-1",
                kind=EventKind.CHANGE,
                time=to_datetime(fleet.now_ns),
                entity=CHAIN[-1],
                title="deploy",
                change=ChangeKind.DEPLOY,
                version="2",
            )
        )
    cpu = {("process.cpu.utilization", service): 0.3 + 0.01 * float(rng.standard_normal()) for service in CHAIN}
    fleet.send([(START_NS + int(at_s * SECOND_NS), cpu)], work=False)


def run(home: Path, begins: int, cuts: Mapping[int, tuple[int, int]], *, lag: int = 1) -> Fleet:
    """A fleet after the fault, restarted at each cut: with so many partitions, after a checkpoint of so many.

    All but the first partition work off only every `lag` ticks.
    """
    fleet, rng = Fleet(home, begins, slos=SLOS), np.random.default_rng(5)
    for number in range(TICKS):
        if number in cuts:
            partitions, saved = cuts[number]
            fleet.restart(partitions, saved=saved)
        tick(fleet, number, rng)
        fleet.work(lagging=number % lag != 0)
    assert not fleet.failures()
    return fleet


def told(fleet: Fleet) -> dict[str, object]:
    """Incidents, what they consist of, and what is said of their cause."""
    ledger = fleet.stores.ledger
    found: dict[str, object] = {
        "incidents": sorted(ledger.find(Incident, tenant="main", limit=1000), key=lambda each: each.id),
        "timeline": sorted(
            {
                each.id
                for each in ledger.find(TimelineEntry, tenant="main", limit=1000)
                if each.kind is not TimelineKind.DIAGNOSIS  # dated by when it was made, which is how far frames reach
            }
        ),
        "objectives": sorted(ledger.find(SloStatus, tenant="main", limit=1000), key=lambda each: each.id),
        "alerts": sorted(ledger.find(Alert, tenant="main", limit=1000), key=lambda each: each.id),
    }
    found["causes"] = [
        [(suspect.entity, suspect.change) for suspect in each.suspects[:1]]
        for each in sorted(ledger.find(Diagnosis, tenant="main", limit=1000), key=lambda each: each.id)
    ]
    calls = ledger.find(Edge, tenant="main", limit=1000)
    found["edges"] = sorted((each.source, each.relation, each.target, each.observations) for each in calls)
    fleet.close()
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return told(run(tmp_path_factory.mktemp("alone"), 1, {}))


def test_the_chain_stands_in_several_partitions_and_is_one_incident(alone: dict[str, object]) -> None:
    assert len({partition_of(service, 3) for service in CHAIN}) > 1
    incidents = alone["incidents"]
    assert isinstance(incidents, list)
    assert len(incidents) == 1
    assert set(incidents[0].entities) == set(CHAIN)
    objectives = alone["objectives"]
    assert isinstance(objectives, list)
    assert [each.bad > 0 for each in objectives] == [True] * len(CHAIN)
    assert alone["causes"] == [[(CHAIN[-1], "deploy-1")]]


@pytest.mark.parametrize(
    ("begins", "cuts"),
    [
        pytest.param(2, {}, id="two"),
        pytest.param(3, {}, id="three"),
        pytest.param(1, {100: (3, ALL)}, id="grown-before"),
        pytest.param(1, {145: (2, ALL), 150: (3, ALL)}, id="grown-in-the-fault"),
        pytest.param(2, {140: (2, 0), 150: (2, 0)}, id="killed-in-the-fault"),
        pytest.param(2, {150: (2, 1), 190: (2, 1)}, id="handed-again"),
        pytest.param(1, {140: (3, 0), 165: (3, 0)}, id="killed-and-grown"),
    ],
)
def test_incidents_are_those_of_one_partition(
    tmp_path: Path, alone: dict[str, object], begins: int, cuts: Mapping[int, tuple[int, int]]
) -> None:
    assert told(run(tmp_path, begins, cuts)) == alone


def test_a_partition_that_lags_changes_no_incident(tmp_path: Path, alone: dict[str, object]) -> None:
    fleet = run(tmp_path, 3, {}, lag=95)  # from before the fault until long after it
    fleet.work()
    assert told(fleet) == alone


def test_one_partition_hands_nothing_over(tmp_path: Path) -> None:
    fleet = run(tmp_path, 1, {})
    frames = [frame for _, frame in batches(fleet.stores.journal, FIRST, fleet.stores.journal.committed("history", 0))]
    assert len(frames) > TICKS
    assert not {frame.kind for frame in frames} & {FrameKind.HANDED, FrameKind.LINKS}
    fleet.close()
