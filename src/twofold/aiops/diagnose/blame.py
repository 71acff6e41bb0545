"""Where blame comes to rest: symptoms that pass along calls are handed to the callee that explains them.

Every entity starts with the weight of its own symptoms. What an entity makes itself (CPU, memory,
disk, drift, silence) stays. What passes from callee to caller (latency, errors, burnt budget) is handed down,
in the share in which the callee, or the caller's view of that callee, is anomalous too; what nobody
below explains stays. It is a random walk down the calls that stops where the explanation ends.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from twofold.aiops.diagnose.config import RankConfig
from twofold.aiops.diagnose.symptom import Symptom
from twofold.records.signal import Signal
from twofold.stats.graph import Graph

_CARRIED: Final = (Signal.LATENCY, Signal.ERRORS, Signal.OBJECTIVE, Signal.DRIFT)
_EXPLAINS: Final[Mapping[Signal, Mapping[Signal, float]]] = {
    Signal.LATENCY: {
        Signal.LATENCY: 1.0,
        Signal.SELF_TIME: 1.0,
        Signal.AVAILABILITY: 0.9,
        Signal.ERRORS: 0.6,
        Signal.CPU: 0.5,
        Signal.MEMORY: 0.4,
        Signal.DISK: 0.4,
        Signal.QUEUE: 0.5,
    },
    Signal.ERRORS: {
        Signal.ERRORS: 1.0,
        Signal.AVAILABILITY: 1.0,
        Signal.LATENCY: 0.6,
        Signal.MEMORY: 0.4,
        Signal.DISK: 0.4,
    },
    Signal.OBJECTIVE: {
        Signal.OBJECTIVE: 1.0,
        Signal.ERRORS: 1.0,
        Signal.LATENCY: 1.0,
        Signal.SELF_TIME: 1.0,
        Signal.AVAILABILITY: 1.0,
        Signal.CPU: 0.5,
        Signal.MEMORY: 0.4,
        Signal.DISK: 0.4,
        Signal.QUEUE: 0.5,
    },
    Signal.DRIFT: {Signal.DRIFT: 1.0},
}
_LOCAL: Final[Mapping[Signal, float]] = {
    Signal.AVAILABILITY: 1.0,
    Signal.SELF_TIME: 1.0,
    Signal.CALLS: 0.6,
    Signal.CPU: 0.9,
    Signal.MEMORY: 0.9,
    Signal.DISK: 0.9,
    Signal.QUEUE: 0.5,
    Signal.OTHER: 0.4,
    Signal.NETWORK: 0.25,
    Signal.IO: 0.25,
}
"""How much a signal of its own speaks for the entity as the cause: use that merely follows load speaks little."""
_STARVING: Final = (Signal.CPU, Signal.SELF_TIME)
_ROUNDS: Final = 8
_LEAD_S: Final = 15.0
"""A callee may be found this much later than its caller and still be the cause: detectors differ in delay."""


@dataclass(slots=True)
class Blame:
    """What came to rest at one entity.

    Attributes:
        local: From signals that it makes itself.
        kept: From its own latency, errors or drift, as far as nobody below explains them.
        received: Handed down by callers.
        traffic: From shifted traffic.
        givers: Who handed down how much.
        onset_s: Its earliest symptom, or that of a caller's view of it.
    """

    local: float = 0.0
    kept: float = 0.0
    received: float = 0.0
    traffic: float = 0.0
    givers: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    onset_s: float = math.inf

    @property
    def total(self) -> float:
        """All of it."""
        return self.local + self.kept + self.received + self.traffic


class _Case:
    """Symptoms indexed by entity, signal and edge: the strongest of each. `hints` speak for mute entities."""

    def __init__(self, symptoms: Iterable[Symptom], hints: Mapping[str, float]) -> None:
        self.hints = hints
        self.own: dict[str, dict[Signal, Symptom]] = defaultdict(dict)
        self.seen: dict[tuple[str, str], dict[Signal, Symptom]] = defaultdict(dict)
        self.onset_s: dict[str, float] = {}
        for each in symptoms:
            place = self.seen[each.entity, each.callee] if each.callee else self.own[each.entity]
            if each.signal not in place or place[each.signal].strength < each.strength:
                place[each.signal] = each
            about = each.callee or each.entity
            self.onset_s[about] = min(each.onset_s, self.onset_s.get(about, math.inf))

    def strength(self, entity: str, signal: Signal) -> float:
        found = self.own.get(entity, {}).get(signal)
        return found.strength if found else 0.0

    def view(self, caller: str, callee: str, signal: Signal) -> float:
        found = self.seen.get((caller, callee), {}).get(signal)
        return found.strength if found else 0.0

    def views(self, caller: str, signal: Signal) -> dict[str, float]:
        return {b: s[signal].strength for (a, b), s in self.seen.items() if a == caller and signal in s}


def assign(
    symptoms: Sequence[Symptom], graph: Graph, config: RankConfig, hints: Mapping[str, float] | None = None
) -> dict[str, Blame]:
    """Blame by entity. Every entity with a symptom, or of whom a caller complains, is in the answer.

    Args:
        symptoms: Of one case.
        graph: Who depends on whom.
        config: Weights.
        hints: For entities without telemetry of their own, how likely they are the cause of what leans on them, 0..1.
    """
    case = _Case(symptoms, hints or {})
    blames: dict[str, Blame] = defaultdict(Blame)
    for entity, onset_s in case.onset_s.items():
        blames[entity].onset_s = onset_s
    for entity in case.own:
        blames[entity].local = config.local * _any_of(_local(case, entity, graph))
        blames[entity].traffic = config.traffic * _traffic(case, entity, graph)
    for signal in _CARRIED:
        _walk(case, signal, graph, config, blames)
    return dict(blames)


def _local(case: _Case, entity: str, graph: Graph) -> list[float]:
    own = case.own.get(entity, {})
    found = []
    for signal, symptom in own.items():
        if signal in _CARRIED or signal is Signal.TRAFFIC:
            continue
        residents = max((case.strength(each, signal) for each in graph.residents(entity)), default=0.0)
        found.append(_LOCAL[signal] * max(0.0, symptom.strength - residents))
    return found


def _traffic(case: _Case, entity: str, graph: Graph) -> float:
    own = case.strength(entity, Signal.TRAFFIC)
    above = max((_any_of(s.strength for s in case.own.get(a, {}).values()) for a in graph.callers(entity)), default=0.0)
    return max(0.0, own - above)


def _walk(case: _Case, signal: Signal, graph: Graph, config: RankConfig, blames: dict[str, Blame]) -> None:
    start = {entity: case.strength(entity, signal) for entity in case.own}
    for caller, _ in case.seen:
        mine = _any_of(case.views(caller, signal).values())
        start[caller] = max(start.get(caller, 0.0), mine)
    moving = {entity: weight * config.carried for entity, weight in sorted(start.items()) if weight > 0}
    for entity, weight in moving.items():
        stays = 1.0 - sum(_shares(case, signal, entity, graph, config).values())
        blames[entity].kept += weight * stays
    for _ in range(_ROUNDS):
        handed: dict[str, float] = defaultdict(float)
        for entity, weight in moving.items():
            for callee, share in _shares(case, signal, entity, graph, config).items():
                handed[callee] += weight * share
                stays = 1.0 - sum(_shares(case, signal, callee, graph, config).values())
                blames[callee].received += weight * share * stays
                blames[callee].givers[entity] += weight * share
                if callee not in case.onset_s:  # mute: it began when those who lean on it suffered
                    blames[callee].onset_s = min(blames[callee].onset_s, blames[entity].onset_s)
        moving = {entity: weight for entity, weight in handed.items() if weight > 1e-3}  # noqa: PLR2004 - negligible
        if not moving:
            return


def _shares(case: _Case, signal: Signal, entity: str, graph: Graph, config: RankConfig) -> dict[str, float]:
    """To whom, and in which share, the entity's symptom is handed down."""
    views = case.views(entity, signal)
    own = max(case.strength(entity, signal), *views.values(), 1e-9) if views else case.strength(entity, signal)
    began = case.onset_s.get(entity, math.inf)
    found: dict[str, float] = {}
    for callee in sorted({*graph.callees(entity), *views} - {entity}):
        below = max((w * case.strength(callee, s) for s, w in _EXPLAINS[signal].items()), default=0.0)
        below *= 0.5 if views and callee not in views else 1.0
        late_s = max(0.0, case.onset_s.get(callee, began) - began - _LEAD_S) if math.isfinite(began) else 0.0
        below *= math.exp(-late_s / config.onset_s)
        view = views.get(callee, 0.0) * (_sight(case, entity) if signal is Signal.LATENCY and not below else 1.0)
        weight = max(below, view, case.hints.get(callee, 0.0) * own)
        if weight > 0:
            found[callee] = min(1.0, weight / own) if own > 0 else 1.0
    explained = config.explained * _any_of(found.values())
    total = sum(found.values())
    return {callee: explained * share / total for callee, share in found.items()} if total else {}


def _sight(case: _Case, entity: str) -> float:
    """How far to trust what an entity says of the speed of a callee that shows nothing itself.

    A process that gets no CPU, or pauses to collect garbage, sees every call of its own take long.
    """
    return 1.0 - max(case.strength(entity, signal) for signal in _STARVING)


def _any_of(chances: Iterable[float]) -> float:
    """1 - product of (1 - each): several grounds add up, never past 1."""
    left = 1.0
    for each in chances:
        left *= 1.0 - min(max(each, 0.0), 1.0)
    return 1.0 - left
