"""Traces of a recorded case to symptoms: where time went that nobody below accounts for, and which calls are missing.

Exclusive time: every instant of a trace belongs to the deepest span that is active then. A client
span's exclusive time is the gap between caller and callee (network, queueing) and counts half to each end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.incidents.shift import Floats
from twofold.aiops.diagnose import RankConfig
from twofold.aiops.diagnose.symptom import Symptom, practical, strength
from twofold.records.signal import Signal

MIN_SPANS = 5
CALLEE_SHARE = 0.6
"""Of a gap between caller and callee. A caller whose network is slow shows gaps to all its callees and sums them up."""
Ints = npt.NDArray[np.int64]
Call = tuple[str, str, str, str]


@dataclass(slots=True)
class Profile:
    """What one phase of traces looks like.

    Attributes:
        own_us: Exclusive times by (service, operation).
        gap_us: Exclusive times of client spans by (caller, callee).
        entries: Spans by (service, operation).
        calls: Children by (service, operation, child's service, child's operation).
    """

    own_us: dict[tuple[str, str], list[float]] = field(default_factory=partial(defaultdict, list))
    gap_us: dict[tuple[str, str], list[float]] = field(default_factory=partial(defaultdict, list))
    entries: dict[tuple[str, str], int] = field(default_factory=partial(defaultdict, int))
    calls: dict[Call, int] = field(default_factory=partial(defaultdict, int))

    def edges(self) -> set[tuple[str, str]]:
        """Calls between services."""
        return {(a, b) for a, _, b, _ in self.calls if a != b}

    def requests(self) -> Mapping[str, int]:
        """Times each service was entered, from outside or by another service."""
        found: dict[str, int] = defaultdict(int)
        for (service, _), count in self.entries.items():
            found[service] += count
        for (a, _, b, _), count in self.calls.items():
            if a == b:
                found[a] -= count
        return found


def profile(table: pa.Table, keep: npt.NDArray[np.bool_] | None = None) -> Profile:
    """The profile of the spans that `keep` marks; parents are looked up among all."""
    service = table.column("service").to_pylist()
    operation = table.column("operation").to_pylist()
    parent = _parents(table)
    start_us = table.column("start_ms").to_numpy().astype(np.float64) * 1000
    length_us = table.column("duration_us").to_numpy().astype(np.float64)
    own_us = _exclusive(table.column("trace").to_numpy(), parent, start_us, length_us)
    callee: dict[int, str] = {}
    for i, p in enumerate(parent.tolist()):
        if p >= 0 and service[p] != service[i]:
            callee[p] = service[i]
    result = Profile()
    wanted = range(len(service)) if keep is None else np.flatnonzero(keep).tolist()
    for i in wanted:
        key = service[i], operation[i]
        result.entries[key] += 1
        if i in callee:
            result.gap_us[service[i], callee[i]].append(own_us[i])
        else:
            result.own_us[key].append(own_us[i])
        p = parent[i]
        if p >= 0:
            result.calls[service[p], operation[p], service[i], operation[i]] += 1
    return result


def symptoms(now: Profile, normal: Sequence[Profile], config: RankConfig) -> list[Symptom]:
    """Slow services by exclusive time, and services that no longer call what they used to."""
    return [*_slow(now, normal, config), *_missing(now, normal, config)]


def _slow(now: Profile, normal: Sequence[Profile], config: RankConfig) -> list[Symptom]:
    extra: dict[str, float] = defaultdict(float)
    surest: dict[str, float] = defaultdict(float)
    for (service, operation), values in now.own_us.items():
        more_us, weight = _longer(values, [each.own_us.get((service, operation), []) for each in normal], config)
        extra[service] += more_us
        surest[service] = max(surest[service], weight)
    for (caller, callee), values in now.gap_us.items():
        more_us, weight = _longer(values, [each.gap_us.get((caller, callee), []) for each in normal], config)
        for end, share in ((caller, 1 - CALLEE_SHARE), (callee, CALLEE_SHARE)):
            extra[end] += more_us * share
            surest[end] = max(surest[end], weight)
    total = sum(extra.values())
    return [
        Symptom(service, Signal.SELF_TIME, True, 0.0, surest[service] * (more_us / total) ** 0.5, ref="exclusive time")
        for service, more_us in extra.items()
        if more_us > 0
    ]


def _longer(values: Sequence[float], normal: Sequence[Sequence[float]], config: RankConfig) -> tuple[float, float]:
    """Extra time over all spans, against the slowest of the normal phases, and how much it counts."""
    known = [np.asarray(each) for each in normal if len(each) >= MIN_SPANS]
    if len(values) < MIN_SPANS or not known:
        return 0.0, 0.0
    after = np.asarray(values)
    cap = max(float(np.percentile(after, 95)), *(float(np.percentile(each, 99)) for each in known))
    mean = float(np.minimum(after, cap).mean())
    slowest = max(known, key=lambda each: float(np.minimum(each, cap).mean()))
    before = np.minimum(slowest, cap)
    more = mean - float(before.mean())
    error = float(np.sqrt(before.var() / len(before) + np.minimum(after, cap).var() / len(after))) + 1e-9
    if more <= 0:
        return 0.0, 0.0
    z = more / error
    return more * len(after), strength(z * z / 4.6, z, config, value=mean, expected=float(before.mean()))


def _missing(now: Profile, normal: Sequence[Profile], config: RankConfig) -> list[Symptom]:
    best: dict[str, float] = defaultdict(float)
    for call in {each for profile_ in (now, *normal) for each in profile_.calls}:
        entry = call[0], call[1]
        pairs = [(each.calls.get(call, 0), each.entries.get(entry, 0)) for each in normal]
        weight = rate_change(now.calls.get(call, 0), now.entries.get(entry, 0), pairs, config)
        best[call[0]] = max(best[call[0]], weight * _asked(call[0], now, normal))
    return [Symptom(s, Signal.ERRORS, True, 0.0, weight, ref="calls") for s, weight in best.items() if weight > 0]


def _asked(service: str, now: Profile, normal: Sequence[Profile]) -> float:
    """Share of its usual requests that a service still gets: one that is hardly asked any more is no cause."""
    entered, everyone = now.requests(), sum(now.requests().values())
    shares = [each.requests().get(service, 0) / max(sum(each.requests().values()), 1) for each in normal]
    usual = min((share for share in shares if share > 0), default=0.0)
    return min(1.0, entered.get(service, 0) / max(everyone, 1) / usual) if usual else 1.0


def rate_change(count: int, entries: int, normal: Sequence[tuple[int, int]], config: RankConfig) -> float:
    """How much the rate of something per entry changed, against that normal phase which it fits best."""
    weights = []
    for usual, usual_entries in normal:
        if entries < MIN_SPANS or usual_entries < MIN_SPANS:
            continue
        before, after = (usual + 0.5) / (usual_entries + 1), (count + 0.5) / (entries + 1)
        likely = count * np.log(after / before) - entries * (after - before)
        likely = min(likely, usual * np.log(before / after) - usual_entries * (before - after)) if usual else likely
        sure = max(likely, 0.0) / (max(likely, 0.0) + 2.3 * config.half_score)
        weights.append(float(sure * practical(after, before, 1.0) * steady(before)))
    return min(weights, default=0.0)


def steady(rate: float) -> float:
    """How much a change of a rate per entry tells: what happened always or never was a rule, the rest is mix of data.

    >>> steady(1.0), round(steady(0.5), 2), round(steady(2.1), 2)
    (1.0, 0.2, 0.84)
    """
    return 1.0 - 1.6 * abs(rate - round(rate))


def _parents(table: pa.Table) -> Ints:
    """Row of each span's parent, -1 for roots and lost parents."""
    span, parent = table.column("span").to_numpy(), table.column("parent").to_numpy()
    order = np.argsort(span, kind="stable")
    place = np.clip(np.searchsorted(span[order], parent), 0, len(span) - 1)
    return np.where(span[order][place] == parent, order[place], -1).astype(np.int64)


def _exclusive(trace: Ints, parent: Ints, start_us: Floats, length_us: Floats) -> list[float]:
    """Exclusive time of each span: the instants at which it is the deepest active one of its trace."""
    start, end = start_us.copy(), start_us + length_us
    depth = np.zeros(len(trace), np.int64)
    children: dict[int, list[int]] = defaultdict(list)
    for i, p in enumerate(parent.tolist()):
        children[p].append(i)
    queue = list(children[-1])
    for i in queue:  # grows while it is walked: parents before children
        for child in children.get(i, ()):
            depth[child] = depth[i] + 1
            if start[child] < start[i] or end[child] > end[i]:  # clocks differ between hosts: move it inside
                length = min(end[child] - start[child], end[i] - start[i])
                start[child] = min(max(start[child], start[i]), end[i] - length)
                end[child] = start[child] + length
            queue.append(child)
    result = [0.0] * len(trace)
    by_trace = np.argsort(trace, kind="stable")
    cuts = np.flatnonzero(np.diff(trace[by_trace])) + 1
    for rows in np.split(by_trace, cuts):
        _sweep(rows.tolist(), start, end, depth, result)
    return result


def _sweep(rows: list[int], start: Floats, end: Floats, depth: Ints, result: list[float]) -> None:
    marks = sorted([(float(start[i]), 1, i) for i in rows] + [(float(end[i]), 0, i) for i in rows])
    active: dict[int, int] = {}
    last = 0.0
    for moment, opens, i in marks:
        if active and moment > last:
            deepest = max(active, key=lambda each: (active[each], each))
            result[deepest] += moment - last
        last = moment
        if opens:
            active[i] = int(depth[i])
        else:
            active.pop(i, None)
