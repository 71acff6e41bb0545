"""The demo's shop as plain tables: its edges, and findings as a detector would give them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from twofold.records.entity import Edge, Relation
from twofold.records.event import ChangeKind, Event, EventKind
from twofold.records.finding import Direction, Finding, FindingState
from twofold.records.time import to_ns
from twofold.records.words import name_of

START = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)

CALLS = (
    ("gateway", "catalog"),
    ("gateway", "cart"),
    ("gateway", "checkout"),
    ("gateway", "recommendation"),
    ("checkout", "payment"),
    ("checkout", "cart"),
)
SERVICES = ("gateway", "catalog", "cart", "checkout", "payment", "recommendation", "worker")
FEATURES = ("price", "age", "basket")


def edges() -> list[Edge]:
    """The shop's topology as the topology stage reports it."""
    found = [_edge(f"service:{a}", f"service:{b}", Relation.CALLS) for a, b in CALLS]
    found += [_edge(f"service:{each}", "host:shop", Relation.RUNS_ON) for each in SERVICES]
    found += [
        _edge("service:checkout", "queue:orders", Relation.CALLS),
        _edge("service:worker", "queue:orders", Relation.READS),
        _edge("service:recommendation", "model:recommender", Relation.SERVES),
        _edge("model:recommender", "dataset:items", Relation.TRAINED_ON),
    ]
    found += [_edge("model:recommender", f"feature:recommender/{each}", Relation.FEEDS) for each in FEATURES]
    return found


def _edge(source: str, target: str, relation: Relation) -> Edge:
    return Edge(source=source, target=target, relation=relation)


def at(seconds: float) -> datetime:
    """A moment of the scene."""
    return START + timedelta(seconds=seconds)


def at_ns(seconds: float) -> int:
    """The same in nanoseconds."""
    return to_ns(at(seconds))


def finding(  # noqa: PLR0913 - a table's columns
    entity: str,
    metric: str,
    onset: float,
    *,
    score: float = 12.0,
    effect: float = 15.0,
    value: float = 9.0,
    expected: float = 1.0,
    labels: str = "",
    after: float = 8.0,
    closed: float | None = None,
    direction: Direction | None = None,
    unit: str = "",
    tenant: str = "main",
) -> Finding:
    """One finding `after` seconds past its onset; with `closed`, its end."""
    way = direction or (Direction.UP if value >= expected else Direction.DOWN)
    return Finding(
        id=f"{entity}|{metric}|{labels}|{way}|{onset}",
        entity=entity,
        series=f"{zlib.crc32(f'{entity}|{metric}|{labels}'.encode()):016x}",
        metric=metric,
        onset=at(onset),
        seen=at(onset + after if closed is None else closed),
        score=score,
        effect=effect if way is Direction.UP else -effect,
        value=value,
        expected=expected,
        low=expected * 0.8,
        high=expected * 1.2,
        direction=way,
        detector="panel@1",
        reason="left its band",
        state=FindingState.OPEN if closed is None else FindingState.CLOSED,
        unit=unit,
        labels_text=labels,
        tenant=tenant,
    )


def slow(name: str, onset: float, *, times: float = 9.0, **more: Any) -> Finding:
    """A service answers slowly."""
    return finding(
        f"service:{name}",
        "span.duration.p50",
        onset,
        value=0.1 * times,
        expected=0.1,
        labels="",
        unit="s",
        **more,
    )


def slow_call(caller: str, callee: str, onset: float, *, times: float = 9.0, **more: Any) -> Finding:
    """A caller waits long for its callee."""
    return finding(
        f"service:{caller}",
        "span.duration.p50",
        onset,
        value=0.1 * times,
        expected=0.1,
        labels=f"-> {name_of(callee)}",
        unit="s",
        **more,
    )


def failing(name: str, onset: float, *, ratio: float = 0.5, **more: Any) -> Finding:
    """A service answers with errors."""
    return finding(
        f"service:{name}",
        "span.error_ratio",
        onset,
        value=ratio,
        expected=0.001,
        labels="",
        unit="1",
        **more,
    )


def failing_call(caller: str, callee: str, onset: float, *, ratio: float = 0.9, **more: Any) -> Finding:
    """A caller gets errors from its callee."""
    return finding(
        f"service:{caller}",
        "span.error_ratio",
        onset,
        value=ratio,
        expected=0.001,
        labels=f"-> {name_of(callee)}",
        unit="1",
        **more,
    )


def deploy(name: str, time: float, version: str = "1.4.2") -> Event:
    """A deploy of a service."""
    return Event(
        id=f"deploy-{name}-{time}",
        kind=EventKind.CHANGE,
        time=at(time),
        entity=f"service:{name}",
        title=f"{name} {version}",
        change=ChangeKind.DEPLOY,
        version=version,
        source="ci",
    )


def ends(findings: Sequence[Finding], time: float) -> list[Finding]:
    """The same findings, closed."""
    return [
        Finding(
            **{
                **{f: getattr(each, f) for f in each.__dataclass_fields__},
                "state": FindingState.CLOSED,
                "seen": at(time),
            }
        )
        for each in findings
    ]


def latency() -> list[Finding | Event]:
    """Catalog is slow by itself; the gateway waits for it. A decoy deploy of payment."""
    return [
        deploy("payment", -40),
        slow("catalog", 0, times=12),
        slow_call("gateway", "service:catalog", 2, times=11),
        slow("gateway", 4, times=6),
        finding("service:catalog", "span.rate", 5, value=20, expected=30, score=5, effect=6, labels=""),
    ]


def bad_deploy() -> list[Finding | Event]:
    """Cart 2.0.0 throws errors; checkout and gateway pass them on. A decoy deploy of catalog."""
    return [
        deploy("catalog", -30, "3.3.3"),
        deploy("cart", -4, "2.0.0"),
        failing("cart", 0, ratio=0.6, score=15),
        finding("service:cart", "log.error_rate", 1, value=4, expected=0.01),
        failing_call("checkout", "service:cart", 1, ratio=0.6, score=15),
        failing_call("gateway", "service:cart", 1, ratio=0.6, score=15),
        failing("checkout", 3, ratio=0.5, score=14),
        failing("gateway", 3, ratio=0.2, score=14),
        finding("service:checkout", "log.error_rate", 3, value=3, expected=0.01),
    ]


def memory_leak() -> list[Finding | Event]:
    """Recommendation's memory grows, nothing else. A decoy deploy of gateway."""
    return [
        deploy("gateway", -20),
        finding(
            "service:recommendation", "process.memory.usage", 0, value=4.2e8, expected=9e7, score=7, effect=9, after=25
        ),
    ]


def cpu_hog() -> list[Finding | Event]:
    """Checkout burns CPU, is slow, and the gateway waits; the host's CPU rises too."""
    return [
        deploy("cart", -50),
        finding("service:checkout", "process.cpu.utilization", 0, value=0.95, expected=0.05),
        finding("host:shop", "system.cpu.utilization", 2, value=0.9, expected=0.4, score=7, effect=8),
        slow("checkout", 2, times=6),
        slow_call("gateway", "service:checkout", 3, times=6),
        slow("gateway", 4, times=4),
        slow("catalog", 6, times=1.8, score=5, effect=5),
    ]


def dependency_down() -> list[Finding | Event]:
    """Payment stops: checkout's calls fail, its own requests fail, payment falls silent. Catalog is a decoy."""
    absent = Direction.ABSENT
    return [
        deploy("catalog", -25),
        failing_call("checkout", "service:payment", 0, ratio=1.0, score=20, effect=40),
        failing("checkout", 0, ratio=0.9, score=20, effect=40),
        finding("service:checkout", "log.error_rate", 0, value=9, expected=0.01, score=15, effect=30),
        failing("gateway", 2, ratio=0.25, score=14),
        finding("service:payment", "span.rate", 2, value=0, expected=5, score=8, effect=10, labels=""),
        finding(
            "service:payment",
            "process.cpu.utilization",
            5,
            value=0,
            expected=0.1,
            score=8,
            effect=0,
            direction=absent,
            after=20,
        ),
    ]


def disk_filling() -> list[Finding | Event]:
    """The worker's disk fills. A decoy deploy of checkout."""
    return [
        deploy("checkout", -15),
        finding("service:worker", "process.disk.usage", 0, value=0.8, expected=0.2, score=8, effect=12, after=15),
    ]


def data_drift() -> list[Finding | Event]:
    """The price input of the model drifts, the model's output follows. A decoy deploy of recommendation's caller."""
    return [
        deploy("gateway", -35),
        finding(
            "feature:recommender/price", "model.drift.psi", 0, value=1.4, expected=0.02, score=10, effect=20, after=15
        ),
        finding("model:recommender", "model.output.psi", 2, value=0.5, expected=0.02, score=8, effect=9, after=15),
        finding("model:recommender", "model.prediction.mean", 3, value=4, expected=2, score=6, effect=7, after=15),
    ]


FAULTS = {
    "latency": (latency, "service:catalog"),
    "bad_deploy": (bad_deploy, "service:cart"),
    "memory_leak": (memory_leak, "service:recommendation"),
    "cpu_hog": (cpu_hog, "service:checkout"),
    "dependency_down": (dependency_down, "service:payment"),
    "disk_filling": (disk_filling, "service:worker"),
    "data_drift": (data_drift, "feature:recommender/price"),
}
