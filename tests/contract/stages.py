"""Finds every stage and gives it a stream that it understands, so that none escapes its contract suite."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

import twofold.aiops
import twofold.joints
import twofold.mlops
from tests.unit.detect.telemetry import MemoryCatalog, line, logs, ns, samples, span, spans
from twofold.aiops.correlate.stage import Correlate
from twofold.aiops.detect.delivery.stage import Delivery
from twofold.aiops.detect.joint.config import JointConfig
from twofold.aiops.detect.joint.stage import Joint
from twofold.aiops.detect.lograte import LogRate
from twofold.aiops.detect.mining.stage import Mining
from twofold.aiops.detect.panel import Panel
from twofold.aiops.detect.red import Red
from twofold.aiops.detect.slo import Slos
from twofold.aiops.detect.traces.stage import Traces
from twofold.aiops.diagnose.stage import Diagnose
from twofold.aiops.forecast.alerts import Foretell
from twofold.aiops.forecast.stage import Capacity
from twofold.aiops.topology.learn import Topology
from twofold.flow.stage import Stage
from twofold.joints.shadow import Shadow
from twofold.mlops.monitor.drift import DriftStage
from twofold.records.alert import Severity
from twofold.records.columns import PREDICTIONS, Batch, Predictions
from twofold.records.entity import Edge, Relation
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.forecast import Forecast
from twofold.records.incident import Incident, IncidentState
from twofold.records.profile import Distribution, Profile
from twofold.records.slo import Slo
from twofold.records.time import to_datetime

MEMBERS = ("name", "accepts", "process", "advance", "snapshot", "restore")
TICKS = 150
FAULT = range(90, 120)
MODEL = Profile(
    inputs=(Distribution(name="x", shares=(0.5, 0.5), edges=(0.5,), mean=0.5, deviation=0.3),),
    outputs=(Distribution(name="y", shares=(0.5, 0.5), edges=(0.5,), mean=0.5, deviation=0.3),),
    rows=1000,
)

JOINT = JointConfig(tick_s=5.0, least_series=1, alerts_per_day=100.0, probe_ticks=20, coupled=0.01, apart=True)
"""Quick to judge: the stream has few series and lasts minutes."""

OPENERS: dict[str, Callable[[MemoryCatalog], Stage]] = {
    "topology": lambda _: Topology(),
    "red": Red,
    "traces": Traces,
    "slo": lambda catalog: Slos([Slo(name="good", entity="service:a", window_s=3600.0)], catalog),
    "lograte": LogRate,
    "mining": Mining,
    "delivery": Delivery,
    "foretell": lambda _: Foretell(),
    "drift": lambda catalog: DriftStage(catalog, lambda _model, _version: MODEL),
    "panel": Panel,
    "joint": lambda catalog: Joint(catalog, JOINT),
    "capacity": Capacity,
    "correlate": lambda _: Correlate(),
    "diagnose": lambda _: Diagnose(),
    "shadow": Shadow,
}


def classes_of(package: ModuleType, members: Sequence[str]) -> dict[str, type]:
    """Classes defined anywhere below the package that have all the members, by qualified name."""
    found = {}
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        loaded = importlib.import_module(module.name)
        for name, each in vars(loaded).items():
            own = inspect.isclass(each) and each.__module__ == module.name
            if own and all(hasattr(each, member) for member in members) and not getattr(each, "_is_protocol", False):
                found[f"{module.name}.{name}"] = each
    return found


def stage_classes() -> dict[str, type]:
    """Every stage of both loops and of the joints, by the name it has in a pipeline."""
    packages = (twofold.aiops, twofold.mlops, twofold.joints)
    found = {name: each for package in packages for name, each in classes_of(package, MEMBERS).items()}
    return {str(each.name): each for each in found.values()}  # type: ignore[attr-defined]  # MEMBERS holds it


@dataclass(frozen=True, slots=True)
class Tick:
    """What comes in five seconds, and the watermark after it."""

    items: tuple[object, ...]
    watermark_ns: int


def catalog_of_stream() -> MemoryCatalog:
    """A catalog that knows the received series of the stream."""
    catalog = MemoryCatalog()
    for entity in ("service:a", "service:b"):
        catalog.register("process.cpu.utilization", {"entity": entity}, entity=entity, tenant="main", unit="1")
    catalog.register("system.filesystem.utilization", {}, entity="host:a", tenant="main", unit="1")
    return catalog


def stream() -> list[Tick]:
    """A small system over some minutes, with a fault in the middle, seen by every kind of telemetry."""
    rng = np.random.default_rng(11)
    sids = list(catalog_of_stream().series)
    ticks = []
    for tick in range(TICKS):
        at_s, bad = tick * 5.0, tick in FAULT
        cpu = [0.1 + 0.01 * float(rng.standard_normal()), 0.2 + 0.01 * float(rng.standard_normal()) + 0.7 * bad]
        items: list[object] = [
            samples(sids, [at_s] * 3, [*cpu, 0.2 + at_s / 1200.0]),
            spans(*_requests(rng, tick, at_s, bad=bad)),
            logs(line("service:a", f"request {tick}", at_s=at_s, severity=17 if bad else 9)),
            _predictions(rng, at_s, bad=bad),
            *_records(tick, at_s),
        ]
        ticks.append(Tick(tuple(items), ns(at_s - 2)))
    return ticks


def _requests(rng: np.random.Generator, tick: int, at_s: float, *, bad: bool) -> list[dict[str, object]]:
    rows = []
    for n in range(6):
        ident, ms = f"{tick:04d}{n}", float(rng.exponential(20)) + 500 * bad
        host = {"host.name": "h1", "service.version": "2" if bad else "1"}
        rows += [
            span("service:a", f"s{ident}", at_s=at_s, ms=ms + 5, name=f"GET /{n % 2}", attributes=host),
            span("service:a", f"c{ident}", at_s=at_s, ms=ms, kind=3, parent=f"s{ident}"),
            span("service:b", f"t{ident}", at_s=at_s, ms=ms - 1, parent=f"c{ident}", error=bad, attributes=host),
            span("service:b", f"d{ident}", at_s=at_s, ms=2, kind=3, parent=f"t{ident}", peer="database:shop"),
        ]
    return rows


def _predictions(rng: np.random.Generator, at_s: float, *, bad: bool) -> Predictions:
    rows = 60
    inputs = rng.random(rows) + bad
    word = pa.dictionary(pa.int32(), pa.string())
    columns: dict[str, Any] = {
        "time_ns": pa.array([ns(at_s + i * 5 / rows) for i in range(rows)], pa.int64()),
        "model": pa.array(["m"] * rows, pa.string()).cast(word),
        "version": pa.array(["1"] * rows, pa.string()).cast(word),
        "stage": pa.array(["live"] * rows, pa.string()).cast(word),
        "request_id": pa.array([f"{at_s}-{i}" for i in range(rows)]),
        "latency_ns": pa.array([2_000_000] * rows, pa.int64()),
        "numbers": pa.array([[float(x)] for x in inputs], pa.list_(pa.float64())),
        "texts": pa.array([[]] * rows, pa.list_(pa.string())),
        "outputs": pa.array([[float(x)] for x in inputs], pa.list_(pa.float64())),
    }
    return Predictions(data=pa.record_batch([columns[field.name] for field in PREDICTIONS], schema=PREDICTIONS))


def _records(tick: int, at_s: float) -> list[object]:
    """Findings, edges and changes as other stages would give them."""
    now = to_datetime(ns(at_s))
    made: list[object] = []
    if tick % 12 == 0:
        made.append(Edge(source="service:a", target="service:b", relation=Relation.CALLS, calls=9, last_seen=now))
    if tick == FAULT.start - 3:
        made.append(
            Event(
                id="deploy-1",
                kind=EventKind.CHANGE,
                time=now,
                entity="service:b",
                title="deploy of b",
                change=ChangeKind.DEPLOY,
                version="2",
            )
        )
    if tick == FAULT.start:
        made.append(
            Forecast(
                id="forecast-1",
                entity="host:a",
                series="0000000000000003",
                metric="system.filesystem.utilization",
                limit=1.0,
                value=0.5,
                made=now,
                seen=now,
                horizon_s=3600.0,
                claimed=0.9,
                probability=0.9,
                model="capacity@1",
                reason="disk full in 1 h",
                alerted=now,
            )
        )
    if tick in FAULT and tick % 3 == 0:
        made.extend(_finding(entity, now, at_s) for entity in ("service:a", "service:b"))
    if tick == FAULT.stop + 2:
        made.extend(_finding(entity, now, at_s, state=FindingState.CLOSED) for entity in ("service:a", "service:b"))
    if tick == FAULT.start + 6:
        made.append(
            Incident(
                id="incident-1",
                title="b is slow",
                state=IncidentState.OPEN,
                severity=Severity.CRITICAL,
                start=to_datetime(ns(FAULT.start * 5.0)),
                detected=now,
                last_seen=now,
                entities=("service:b", "service:a"),
            )
        )
    return made


def _finding(entity: str, now: Any, at_s: float, *, state: FindingState = FindingState.OPEN) -> Finding:
    onset = to_datetime(ns(FAULT.start * 5.0))
    return Finding(
        id=f"finding-{entity}",
        entity=entity,
        series="0000000000000001" if entity == "service:a" else "0000000000000002",
        metric="span.duration.p95",
        onset=onset,
        seen=now + timedelta(seconds=1),
        score=9.0,
        effect=20.0 + at_s / 100,
        value=0.5,
        expected=0.02,
        low=0.0,
        high=0.04,
        direction=Direction.UP,
        detector="panel@1",
        reason=f"span.duration.p95 of {entity} is 500 ms, 25 x its expected 20 ms",
        state=state,
        unit="s",
    )


def feed(stage: Stage, ticks: Sequence[Tick]) -> list[object]:
    """Everything that the stage makes of the ticks, in a form that can be compared."""
    made: list[object] = []
    for tick in ticks:
        wanted = [item for item in tick.items if isinstance(item, stage.accepts)]
        if wanted:
            made.extend(stage.process(wanted))
        made.extend(stage.advance(tick.watermark_ns))
    return [plain(item) for item in made]


def plain(item: object) -> object:
    """A batch as Python values, so that equality looks at its content."""
    if not isinstance(item, Batch):
        return item
    window_ns = getattr(item, "window_ns", 0)
    return (type(item).__name__, item.tenant, item.lane, window_ns, item.data.to_pydict())


def stored(state: Any) -> dict[str, Any]:
    """A state as it comes back from a checkpoint: copies of arrays and bytes, nothing else, and not to be changed."""
    found: dict[str, Any] = {}
    for key, value in state.items():
        assert isinstance(key, str)
        assert isinstance(value, bytes | np.ndarray), f"{key} is {type(value).__name__}: only arrays and bytes are kept"
        found[key] = bytes(value) if isinstance(value, bytes) else _fixed(value)
        assert isinstance(value, bytes) or not value.dtype.hasobject, f"{key} holds Python objects: that needs pickle"
    return found


def _fixed(value: np.ndarray) -> np.ndarray:
    copy = value.copy()
    copy.setflags(write=False)
    return copy


def over_one_buffer(state: Any) -> tuple[dict[str, Any], bytearray]:
    """A state whose arrays stand in one buffer, as those of a checkpoint do, and the buffer."""
    data = bytearray()
    at: dict[str, int] = {}
    for key, value in state.items():
        at[key] = len(data)
        data += bytes(value) if isinstance(value, bytes) else np.ascontiguousarray(value).tobytes()
    found: dict[str, Any] = {}
    for key, value in state.items():
        if isinstance(value, bytes) or not value.size:
            found[key] = value
        else:
            view = np.frombuffer(data, value.dtype, value.size, at[key]).reshape(value.shape)
            view.setflags(write=False)
            found[key] = view
    return found, data
