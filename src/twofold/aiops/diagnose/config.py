"""Settings of the cause ranker and its stage. One fixed set for all systems; a frozen value that JSON can hold."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RankConfig:
    """Weights of the ranking. A released ranker is this value under a `name@version`.

    Attributes:
        half_score: Tail score (-log10) that counts half.
        half_effect: Effect in robust deviations that counts half.
        floor_ratio: Relative change below which a deviation counts less: likely is not large.
        local: Weight of signals that an entity makes itself: CPU, memory, disk, absence, drift.
        carried: Weight of signals that pass from callee to caller: latency, errors.
        traffic: Weight of a traffic shift, which mostly follows from others' trouble.
        explained: Greatest share of a symptom that an anomalous callee explains.
        onset_s: Time constant of the advantage of who began earlier.
        onset_floor: What a latecomer keeps.
        change_gain: What a change right before the entity's onset multiplies its score by, less one.
        change_tau_s: Time constant of that gain with the time between change and onset.
        change_slow: Times as long for signals that build up: memory, disk, queues, drift.
        change_near: A change whose nearness exp(-lead / tau) is below this is not guilty.
        mute_change: Share of a symptom that a fresh change explains on a dataset, database or queue without telemetry.
        change_slack_s: A change noted this long after the onset still counts as before it: clocks and notices lag.
        hops: Neighbourhood of the incident's entities that is looked at.
        suspects: Most suspects named.
        least_share: Suspects below this share of the score are left out.
    """

    half_score: float = 4.0
    half_effect: float = 6.0
    floor_ratio: float = 0.25
    local: float = 0.8
    carried: float = 1.0
    traffic: float = 0.2
    explained: float = 0.95
    onset_s: float = 45.0
    onset_floor: float = 0.5
    change_gain: float = 1.5
    change_tau_s: float = 120.0
    change_slow: float = 4.0
    change_near: float = 0.1
    mute_change: float = 0.6
    change_slack_s: float = 10.0
    hops: int = 2
    suspects: int = 6
    least_share: float = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnoseConfig:
    """When to rank, and how much to remember for it.

    Attributes:
        rank: Weights of the ranking.
        every_s: Least event time between two rankings of one incident.
        before_s: Findings that began this long before the incident still count.
        keep_s: Findings, changes and examples are remembered this long.
        edge_keep_s: A learnt edge that was not seen again for this long is gone.
        max_findings: Findings remembered; the oldest go first.
        max_examples: Half minutes of which the most telling trace and log line is remembered, per entity.
        max_evidence: Pieces of evidence cited per suspect.
    """

    rank: RankConfig = RankConfig()
    every_s: float = 10.0
    before_s: float = 180.0
    keep_s: float = 7200.0
    edge_keep_s: float = 86_400.0
    max_findings: int = 20_000
    max_examples: int = 120
    max_evidence: int = 8
