"""What a detector or ranker must pass before its first release: faults of a small made-up shop, found and explained.

The same stages run over the same samples each time, so a result can be repeated. It is a probation, not the
proof of accuracy: that is the benchmarks' work on labelled data.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.correlate.stage import Correlate
from twofold.aiops.detect.config import PanelConfig
from twofold.aiops.detect.panel import Panel
from twofold.aiops.diagnose.config import DiagnoseConfig
from twofold.aiops.diagnose.stage import Diagnose
from twofold.flow.pipeline import Pipeline
from twofold.flow.stage import Stage
from twofold.records.columns import Samples, samples_batch
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge, Relation
from twofold.records.frame import Lane
from twofold.records.incident import Incident
from twofold.records.model import GateResult
from twofold.records.series import Origin, SeriesKind
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


def judge_panel(config: PanelConfig) -> list[GateResult]:
    """Gates of a detector: every fault found, nothing else."""
    done = probation(config, DiagnoseConfig())
    return [
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
    ]


def judge_causes(config: DiagnoseConfig) -> list[GateResult]:
    """Gate of a ranker: the cause of every fault named first."""
    done = probation(PanelConfig(), config)
    return [
        GateResult(
            name="probation_first",
            passed=done.first == len(FAULTS),
            value=done.first,
            limit=len(FAULTS),
            text=f"named the cause of {done.first} of {len(FAULTS)} made-up faults first",
        )
    ]


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
