"""What a metric's name says: its kind of signal, which way is bad, and plain words for it.

Grouping and ranking treat latency, errors, traffic, saturation and drift differently, whatever
the metric is called. The rules read OpenTelemetry and Prometheus names; a name that no rule knows is `OTHER`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache
from typing import Final

from twofold.records.finding import Direction


class Signal(StrEnum):
    """Kinds of signals, after the four golden signals plus what models and promises add."""

    OBJECTIVE = "objective"
    AVAILABILITY = "availability"
    ERRORS = "errors"
    LATENCY = "latency"
    SELF_TIME = "self_time"
    CALLS = "calls"
    TRAFFIC = "traffic"
    DRIFT = "drift"
    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"
    QUEUE = "queue"
    NETWORK = "network"
    IO = "io"
    OTHER = "other"


_RULES: Final = tuple(
    (signal, re.compile(pattern))
    for signal, pattern in (
        (Signal.OBJECTIVE, r"burn_?rate|budget_?burn"),
        (Signal.AVAILABILITY, r"^up$|(^|[._])(available|availability|health|healthy|probe_success)($|[._])"),
        (Signal.DRIFT, r"(^|[._])(psi|drift|quality|prediction\.mean|missing_ratio)($|[._])"),
        (Signal.CALLS, r"(^|[._])call_ratio$"),
        (Signal.ERRORS, r"error|fail|exception|5xx|fault|timeout|abort|panic"),
        (Signal.SELF_TIME, r"self[._]?time|exclusive"),
        (Signal.LATENCY, r"duration|latency|response_time|elapsed|(^|[._])(lat|p50|p90|p95|p99)($|[._\d])"),
        (Signal.QUEUE, r"queue|backlog|(^|[._])lag($|[._])|pending|depth|in_flight|inflight"),
        (Signal.IO, r"(disk|filesystem|block|(^|[._])fs)[._].*(read|writ|(^|[._])io($|[._]))"),
        (Signal.DISK, r"disk|filesystem|(^|[._])fs($|[._])|volume|inode"),
        (Signal.MEMORY, r"memory|(^|[._])(mem|rss|heap|pss)($|[._])|(^|[._])gc($|[._])"),
        (Signal.CPU, r"cpu|load_?average|(^|[._])load\d+$|throttl"),
        (Signal.NETWORK, r"network|(^|[._])net(rx|tx)?($|[._])|socket|tcp|packet"),
        (Signal.TRAFFIC, r"(^|[._])(rate|requests?|calls?|throughput|ops|rps|qps|load|count|orders|messages)($|[._])"),
    )
)
_QUANTILE: Final = re.compile(r"[._](p\d{2,3}|max|avg|mean)$")
_TAIL: Final = re.compile(r"[._](p9\d+|max)$")
_SAME: Final = {"span.wait_time": "span.duration"}
_WORDS: Final = {
    Signal.OBJECTIVE: "burn rate of the error budget",
    Signal.AVAILABILITY: "availability",
    Signal.ERRORS: "error ratio",
    Signal.LATENCY: "latency",
    Signal.SELF_TIME: "time spent itself",
    Signal.CALLS: "calls",
    Signal.TRAFFIC: "request rate",
    Signal.DRIFT: "drift",
    Signal.CPU: "CPU",
    Signal.MEMORY: "memory",
    Signal.DISK: "disk use",
    Signal.QUEUE: "queue length",
    Signal.NETWORK: "network",
    Signal.IO: "disk traffic",
}
_SPECIAL: Final = {
    "slo.budget_left": "error budget left",
    "slo.burn_rate": "error budget",
    "slo.slow_burn_rate": "error budget",
    "log.error_rate": "error log rate",
    "model.drift.psi": "input drift",
    "model.output.psi": "output drift",
    "model.prediction.mean": "mean prediction",
    "ci.pipeline.duration": "pipeline duration",
    "ci.pipeline.queued": "wait for a runner",
    "ci.pipeline.failed_ratio": "failed runs",
    "deploy.lead_time": "time from commit to deployment",
    "deploy.frequency": "deployments",
    "deploy.change_failure_ratio": "failed deployments",
    "deploy.recovery_time": "time to restore",
    "up": "reachability",
}


@cache
def signal_of(metric: str) -> Signal:
    """The kind of signal that a metric's name tells.

    >>> signal_of("span.duration.p95"), signal_of("process.memory.usage")
    (<Signal.LATENCY: 'latency'>, <Signal.MEMORY: 'memory'>)
    """
    name = metric.lower()
    return next((signal for signal, rule in _RULES if rule.search(name)), Signal.OTHER)


def stem(metric: str) -> str:
    """The metric without its quantile or aggregate: p50, p95 and p99 of one thing are one problem.

    Waiting for a callee is that call's duration seen from the request, so both are one problem, too.

    >>> stem("span.duration.p95"), stem("span.wait_time.p95"), stem("up")
    ('span.duration', 'span.duration', 'up')
    """
    found = _QUANTILE.sub("", metric)
    return _SAME.get(found, found)


def tail_only(metric: str) -> bool:
    """Whether the metric tells of the few worst requests only.

    >>> tail_only("span.duration.p95"), tail_only("span.duration.p50")
    (True, False)
    """
    return bool(_TAIL.search(metric))


def harmful(metric: str, direction: Direction) -> bool:
    """Whether leaving the band this way may hurt. Faster, fewer errors, less use or a new call never opens an incident.

    >>> harmful("span.duration.p95", Direction.DOWN), harmful("up", Direction.DOWN)
    (False, True)
    """
    if direction not in (Direction.UP, Direction.DOWN):  # one value on and on, or other swings, hurt nobody but readers
        return direction is Direction.ABSENT
    signal = signal_of(metric)
    if signal in (Signal.AVAILABILITY, Signal.CALLS):
        return direction is Direction.DOWN
    if signal in (Signal.TRAFFIC, Signal.OTHER) or metric.endswith("prediction.mean"):
        return True
    return direction is Direction.UP


def plain(metric: str) -> str:
    """Plain words for a metric in a title.

    >>> plain("span.duration.p95"), plain("process.cpu.utilization"), plain("jvm.threads")
    ('p95 latency', 'CPU', 'jvm.threads')
    """
    if metric in _SPECIAL:
        return _SPECIAL[metric]
    signal = signal_of(metric)
    words = _WORDS.get(signal, metric)
    quantile = re.search(r"\.(p\d{2,3})$", metric)
    if not quantile:
        return words
    return f"median {words}" if quantile[1] == "p50" else f"{quantile[1]} {words}"
