"""What a detector or ranker must pass before its first release: faults of a small made-up shop, found and explained.

The same stages run over the same samples each time, so a result can be repeated. It is a probation, not the
proof of accuracy: that is the benchmarks' work on labelled data.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.correlate.stage import Correlate
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.panel import Panel
from twofold.aiops.diagnose.config import DiagnoseConfig
from twofold.aiops.diagnose.stage import Diagnose
from twofold.aiops.forecast.config import CapacityConfig
from twofold.aiops.forecast.stage import Capacity
from twofold.flow.pipeline import Pipeline
from twofold.flow.stage import Stage
from twofold.records.columns import Samples, samples_batch
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge, Relation
from twofold.records.forecast import Forecast, ForecastState
from twofold.records.frame import Lane
from twofold.records.incident import Incident
from twofold.records.model import GateResult
from twofold.records.series import Origin, SeriesKind, sid_text
from twofold.records.time import SECOND_NS
from twofold.store.catalog.files import FileCatalog

STEP_S: Final = 5
START_S: Final = 1_700_000_000
WARM_S: Final = 900
FAULT_S: Final = 120
PERIOD_S: Final = 600
SERVICES: Final = ("front", "orders", "stock", "mail")
CALLS: Final = (("front", "orders"), ("orders", "stock"), ("front", "mail"))
METRICS: Final = (
    ("span.duration.p95", "s", 0.12, 0.012),
    ("span.error_ratio", "1", 0.0, 0.0),
    ("span.rate", "1/s", 8.0, 0.8),
    ("process.memory.usage", "By", 8e7, 2e5),
    ("process.cpu.utilization", "1", 0.1, 0.01),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: who is the cause, and what it does to whose series (metric, service, factor, offset)."""

    cause: str
    effects: tuple[tuple[str, str, float, float], ...]


FAULTS: Final = (
    Fault(
        cause="stock",
        effects=(
            ("span.duration.p95", "stock", 6.0, 0.0),
            ("span.duration.p95", "orders", 5.0, 0.0),
            ("span.duration.p95", "front", 4.0, 0.0),
        ),
    ),
    Fault(cause="orders", effects=(("span.error_ratio", "orders", 1.0, 0.3), ("span.error_ratio", "front", 1.0, 0.25))),
    Fault(
        cause="mail",
        effects=(("process.cpu.utilization", "mail", 7.0, 0.0), ("span.duration.p95", "mail", 3.0, 0.0)),
    ),
)


Floats = npt.NDArray[np.float64]

FILLS: Final[tuple[Callable[[Floats], Floats], ...]] = (
    lambda hours: 0.4 + 0.011 * hours,  # full after 54 hours
    lambda hours: 0.5 + 0.05 * np.maximum(hours - 40.0, 0.0),  # a leak that begins late
    lambda hours: 0.3 + 0.012 * hours + 0.02 * np.sin(hours * math.tau / 24.0),  # a wave on its way
)
CALM: Final[tuple[Callable[[Floats], Floats], ...]] = (
    lambda hours: 0.7 + 0.05 * np.sin(hours * math.tau / 24.0),
    lambda hours: 0.6 + 0.2 * (hours % 9.0) / 9.0,  # cleaned up every nine hours
    lambda hours: np.full_like(hours, 0.9),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probation:
    """How a detector and a ranker did.

    Attributes:
        found: Faults with an incident that opened while they lasted.
        first: Faults whose cause was named first.
        false: Incidents outside of any fault.
    """

    found: int
    first: int
    false: int


@cache
def judge_panel(config: PanelConfig) -> tuple[GateResult, ...]:
    """Gates of a detector: every fault found, nothing else."""
    done = probation(config, DiagnoseConfig())
    return (
        GateResult(
            name="probation_recall",
            passed=done.found == len(FAULTS),
            value=done.found,
            limit=len(FAULTS),
            text=f"found {done.found} of {len(FAULTS)} made-up faults",
        ),
        GateResult(
            name="probation_false",
            passed=done.false == 0,
            value=done.false,
            limit=0,
            text=f"{done.false} incidents without a fault",
        ),
    )


@cache
def judge_causes(config: DiagnoseConfig) -> tuple[GateResult, ...]:
    """Gate of a ranker: the cause of every fault named first."""
    done = probation(PanelConfig(), config)
    return (
        GateResult(
            name="probation_first",
            passed=done.first == len(FAULTS),
            value=done.first,
            limit=len(FAULTS),
            text=f"named the cause of {done.first} of {len(FAULTS)} made-up faults first",
        ),
    )


@cache
def judge_capacity(config: CapacityConfig) -> tuple[GateResult, ...]:
    """Gates of the forecaster: a steady fill is told before it is full, a wave and a sawtooth never are."""
    fills, calm = _forecasts(config, FILLS), _forecasts(config, CALM)
    told = sum(bool(each) for each in fills)
    alarms = sum(bool(each) for each in calm)
    return (
        GateResult(
            name="probation_fills",
            passed=told == len(FILLS),
            value=told,
            limit=len(FILLS),
            text=f"told {told} of {len(FILLS)} made-up fills before they were full",
        ),
        GateResult(
            name="probation_calm",
            passed=alarms == 0,
            value=alarms,
            limit=0,
            text=f"{alarms} forecasts for disks that never fill",
        ),
    )


def _forecasts(config: CapacityConfig, shapes: Sequence[Callable[[Floats], Floats]]) -> list[list[Forecast]]:
    """Open forecasts of each shape over two days, a value every five minutes."""
    with tempfile.TemporaryDirectory(prefix="twofold-probation-") as folder:
        catalog = FileCatalog(Path(folder))
        sids = [
            catalog.register(
                "system.filesystem.utilization",
                {"mountpoint": f"/{number}"},
                entity=f"host:{number}",
                tenant="main",
                unit="1",
                kind=SeriesKind.GAUGE,
                origin=Origin.METRIC,
            )[0]
            for number in range(len(shapes))
        ]
        stage = Capacity(catalog, config)
        hours = np.arange(0.0, 48.0, 1.0 / 12.0)
        noise = np.random.default_rng(7).standard_normal((len(shapes), len(hours))) * 1e-3
        values = np.stack([shape(hours) for shape in shapes]) + noise
        found: dict[str, list[Forecast]] = {sid_text(sid): [] for sid in sids}
        for column, hour in enumerate(hours.tolist()):
            now_ns = int((START_S + hour * 3600.0) * SECOND_NS)
            data = samples_batch(np.array(sids), np.full(len(sids), now_ns), values[:, column])
            stage.process([Samples(data=data)])
            for made in stage.advance(now_ns):
                if isinstance(made, Forecast) and made.state is ForecastState.OPEN:
                    found[made.series].append(made)
        return list(found.values())


def probation(panel: PanelConfig, causes: DiagnoseConfig) -> Probation:
    """Run both over the made-up shop."""
    made = list(_run(panel, causes))
    incidents = {item.id: item for item in made if isinstance(item, Incident)}
    diagnoses = {item.incident: item for item in made if isinstance(item, Diagnosis)}
    found: dict[int, str] = {}
    false = 0
    for incident in sorted(incidents.values(), key=lambda one: one.detected):
        place = _fault_at(incident.detected.timestamp() - START_S)
        if place is None:
            false += 1
        else:
            found.setdefault(place, incident.id)
    first = sum(_names(diagnoses.get(key), FAULTS[place].cause) for place, key in found.items())
    return Probation(found=len(found), first=first, false=false)


def _run(panel: PanelConfig, causes: DiagnoseConfig) -> Iterator[object]:
    with tempfile.TemporaryDirectory(prefix="twofold-probation-") as folder:
        catalog = FileCatalog(Path(folder))
        sids = [
            catalog.register(
                metric,
                {"service": service},
                entity=f"service:{service}",
                tenant="main",
                unit=unit,
                kind=SeriesKind.GAUGE,
                origin=Origin.SPAN if metric.startswith("span.") else Origin.METRIC,
            )[0]
            for service in SERVICES
            for metric, unit, _, _ in METRICS
        ]
        stages: list[Stage] = [Panel(catalog, panel), Correlate(), Diagnose(causes)]
        pipeline = Pipeline(stages, lane=Lane.LIVE, lateness_ns=2 * SECOND_NS)
        now_ns = START_S * SECOND_NS
        edges = [
            Edge(source=f"service:{caller}", target=f"service:{callee}", relation=Relation.CALLS, calls=100)
            for caller, callee in CALLS
        ]
        yield from pipeline.push(edges, event_ns=0, received_ns=now_ns)
        for row in _values():
            now_ns += STEP_S * SECOND_NS
            data = samples_batch(np.array(sids, np.int64), np.full(len(sids), now_ns, np.int64), row)
            yield from pipeline.push([Samples(data=data)], event_ns=now_ns, received_ns=now_ns)


def _values() -> npt.NDArray[np.float64]:
    """Values of shape (steps, services x metrics), services outer."""
    steps = (WARM_S + len(FAULTS) * PERIOD_S) // STEP_S
    level = np.array([base for _ in SERVICES for _, _, base, _ in METRICS])
    noise = np.array([spread for _ in SERVICES for _, _, _, spread in METRICS])
    values = level + noise * np.random.default_rng(7).standard_normal((steps, level.size))
    place = {
        (metric, service): s * len(METRICS) + m
        for s, service in enumerate(SERVICES)
        for m, (metric, *_) in enumerate(METRICS)
    }
    for number, fault in enumerate(FAULTS):
        begin = (WARM_S + number * PERIOD_S) // STEP_S
        for metric, service, factor, offset in fault.effects:
            window = values[begin : begin + FAULT_S // STEP_S, place[metric, service]]
            window *= factor
            window += offset
    return values


def _fault_at(after_s: float) -> int | None:
    number, within = divmod(after_s - WARM_S, PERIOD_S)
    return int(number) if 0 <= number < len(FAULTS) and within <= FAULT_S else None


def _names(diagnosis: Diagnosis | None, cause: str) -> bool:
    return diagnosis is not None and bool(diagnosis.suspects) and diagnosis.suspects[0].entity == f"service:{cause}"
