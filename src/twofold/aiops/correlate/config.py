"""Settings of grouping. One fixed set for all systems."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelateConfig:
    """When alerts open an incident, join one, and resolve it.

    An incident opens on a strong alert that lasts, or on weak ones that corroborate each other: of
    different signals, on one entity or on neighbours, at about the same time. A weak alert alone waits and expires.
    A detector whose scores are calibrated gives a weak finding now and then by chance; two
    of them side by side within a minute by chance are rare.

    Attributes:
        gap_s: An alert joins an incident when it begins within this time of a related alert's activity.
        hops: Greatest distance in the topology at which alerts are related.
        strong_score: -log10 of the tail probability from which one alert may open an incident alone.
        strong_effect: Robust deviations that it must have as well: likely and large, not only unlikely.
        confirm_s: A strong alert must have lasted this long before it opens an incident alone.
        corroborate_s: Onsets of corroborating alerts lie within this time.
        corroborate_score: Sum of scores that corroborating alerts must reach.
        hold_s: All alerts must have been resolved this long before the incident resolves.
        stale_s: An alert without news for this long counts as resolved.
        change_window_s: Changes this long before the start are told in the timeline.
        edge_keep_s: A learnt edge that was not seen again for this long is gone.
        max_findings: Findings listed on one alert; further ones only count.
        max_pending: Alerts without an incident kept in memory; the oldest go first.
    """

    gap_s: float = 240.0
    hops: int = 2
    strong_score: float = 6.0
    strong_effect: float = 6.0
    confirm_s: float = 10.0
    corroborate_s: float = 60.0
    corroborate_score: float = 8.0
    hold_s: float = 60.0
    stale_s: float = 3600.0
    change_window_s: float = 1800.0
    edge_keep_s: float = 86_400.0
    max_findings: int = 50
    max_pending: int = 10_000
