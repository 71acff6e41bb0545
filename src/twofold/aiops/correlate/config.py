"""Settings of grouping. One fixed set for all systems."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrelateConfig:
    """When alerts open an incident, join one, and resolve it.

    An incident opens on a strong alert that lasts, or on two weak ones that corroborate each other: of
    different signals, on one entity or on neighbours, begun at about the same time. A weak alert alone waits and
    expires: a calibrated detector gives one now and then by chance, two side by side by chance are rare.
    Alerts only about the slowest requests (p95, p99, maximum) must last longer, because a few slow requests
    of one trace show on every service it crosses; traffic alone opens nothing, because users come and go. An error
    budget that burns fast opens one at once: whoever declared the objective said so.

    Attributes:
        gap_s: An alert joins an incident when it begins within this time of a related alert, or while that one fires.
        spread_s: An older incident takes alerts only while related ones fire.
        merge_s: Incidents that an alert connects become one when they began within this time.
        late_s: An incident older than this takes only alerts of entities that lean on one of its own.
        hops: Greatest distance in the topology at which alerts are related.
        strong_score: -log10 of the tail probability from which one alert may open an incident alone.
        strong_effect: Robust deviations that it must have as well: not only unlikely, but large.
        confirm_s: An alert must have lasted this long before it opens an incident.
        tail_confirm_s: The same for an alert about the slowest requests only.
        effect_confirm_s: The same for an alert alone that may be a mere effect, such as a business figure.
        corroborate_s: Onsets of corroborating alerts lie within this time.
        corroborate_score, corroborate_effect: Sums that two corroborating alerts must reach.
        hold_s: All alerts must have been resolved this long before the incident resolves.
        linger_s: An error budget that still burns this long after its incident resolved opens another.
        stale_s: An alert without news for this long counts as resolved.
        change_window_s: Changes this long before the start are told in the timeline.
        edge_keep_s: A learnt edge that was not seen again for this long is gone.
        max_findings: Findings listed on one alert; further ones only count.
        max_pending: Alerts without an incident kept in memory; the oldest go first.
    """

    gap_s: float = 180.0
    spread_s: float = 240.0
    merge_s: float = 90.0
    late_s: float = 150.0
    hops: int = 2
    strong_score: float = 4.5
    strong_effect: float = 8.0
    confirm_s: float = 10.0
    tail_confirm_s: float = 55.0
    effect_confirm_s: float = 600.0
    corroborate_s: float = 30.0
    corroborate_score: float = 8.0
    corroborate_effect: float = 9.0
    hold_s: float = 60.0
    linger_s: float = 300.0
    stale_s: float = 3600.0
    change_window_s: float = 1800.0
    edge_keep_s: float = 86_400.0
    max_findings: int = 50
    max_pending: int = 10_000
