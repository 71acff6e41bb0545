"""The ranking itself: symptoms, topology and changes in, suspects out. Live incidents and benchmarks use this one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from twofold.aiops.diagnose.blame import Blame, assign
from twofold.aiops.diagnose.config import RankConfig
from twofold.aiops.diagnose.symptom import Symptom
from twofold.records.signal import Signal
from twofold.stats.graph import Graph

_MUTE = ("dataset:", "database:", "queue:")
_BURNS = (Signal.LATENCY, Signal.ERRORS, Signal.AVAILABILITY)
_SLOW = (Signal.MEMORY, Signal.DISK, Signal.QUEUE, Signal.DRIFT)


@dataclass(frozen=True, slots=True)
class Change:
    """A change, on the symptoms' clock."""

    id: str
    entity: str
    time_s: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """One suspect. `share` sums to at most 1 over a ranking; `blame` says where it comes from.

    Attributes:
        change: The change that may have caused it, or None: no change is guilty.
        lead_s: Time from that change to the entity's onset.
    """

    entity: str
    share: float
    blame: Blame
    change: Change | None = None
    lead_s: float = 0.0


def rank(
    symptoms: Sequence[Symptom], graph: Graph, changes: Iterable[Change] = (), config: RankConfig | None = None
) -> list[Ranked]:
    """Suspects, most suspect first; empty without symptoms.

    A change counts only on an entity where blame rests, so an innocent deploy elsewhere never appears.
    """
    config = config or RankConfig()
    symptoms = _apart(symptoms)
    recent = list(changes)
    blames = assign(symptoms, graph, config, _hints(symptoms, recent, config))
    slow = _slow(symptoms)
    first_s = min((blame.onset_s for blame in blames.values()), default=0.0)
    scored = []
    for entity, blame in blames.items():
        here = [each for each in recent if each.entity == entity]
        tau_s = config.change_tau_s * (config.change_slow if entity in slow else 1.0)
        change, gain, lead_s = _cause(blame, here, tau_s, config)
        score = blame.total * _early(blame.onset_s - first_s, config) * (1.0 + gain)
        scored.append((score, entity, blame, change, lead_s))
    total = sum(score for score, *_ in scored)
    if total <= 0:
        return []
    scored.sort(key=lambda row: (-row[0], row[1]))
    return [Ranked(entity, score / total, blame, change, lead_s) for score, entity, blame, change, lead_s in scored]


def _apart(symptoms: Sequence[Symptom]) -> list[Symptom]:
    """Without burnt budgets of entities whose errors or slowness show by themselves: that would be said twice."""
    plain = {each.entity for each in symptoms if each.signal in _BURNS}
    return [each for each in symptoms if each.signal is not Signal.OBJECTIVE or each.entity not in plain]


def _early(late_s: float, config: RankConfig) -> float:
    if not math.isfinite(late_s):
        return config.onset_floor
    return config.onset_floor + (1 - config.onset_floor) * math.exp(-late_s / config.onset_s)


def _hints(symptoms: Sequence[Symptom], changes: Sequence[Change], config: RankConfig) -> dict[str, float]:
    """Changed things that have no telemetry: a new data version may be the cause although no series says so."""
    first_s = min((each.onset_s for each in symptoms), default=0.0)
    speaking = {each.callee or each.entity for each in symptoms}
    hints: dict[str, float] = {}
    for change in changes:
        lead_s = first_s - change.time_s
        if change.entity.startswith(_MUTE) and change.entity not in speaking and lead_s >= -config.change_slack_s:
            near = math.exp(-max(lead_s, 0.0) / (config.change_tau_s * config.change_slow))
            hints[change.entity] = max(hints.get(change.entity, 0.0), config.mute_change * near)
    return hints


def _slow(symptoms: Sequence[Symptom]) -> set[str]:
    """Entities whose strongest symptom builds up over minutes, so that its cause lies further back."""
    strongest: dict[str, Symptom] = {}
    for each in symptoms:
        about = each.callee or each.entity
        if about not in strongest or strongest[about].strength < each.strength:
            strongest[about] = each
    return {entity for entity, each in strongest.items() if each.signal in _SLOW}


def _cause(
    blame: Blame, changes: Sequence[Change], tau_s: float, config: RankConfig
) -> tuple[Change | None, float, float]:
    """The change that fits the onset best, its gain, and how long before the onset it was; an old one is not guilty."""
    best: tuple[Change | None, float, float] = (None, 0.0, 0.0)
    for change in changes:
        lead_s = blame.onset_s - change.time_s
        near = math.exp(-max(lead_s, 0.0) / tau_s)
        if lead_s < -config.change_slack_s or near < config.change_near or config.change_gain * near <= best[1]:
            continue
        best = (change, config.change_gain * near, lead_s)
    return best
