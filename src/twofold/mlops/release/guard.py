"""Whether a canary goes on, up or back: a pure policy over numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Action(StrEnum):
    """What to do with a canary."""

    WAIT = "wait"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How one version did since the canary began.

    Attributes:
        drift: Worst PSI of an output; NaN when not measured.
    """

    requests: int
    failed: int
    p95_s: float
    drift: float = 0.0

    @property
    def error_ratio(self) -> float:
        """Share of failed requests; 0 without requests."""
        return self.failed / self.requests if self.requests else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardConfig:
    """Bounds of a canary.

    Attributes:
        min_requests: Fewer say nothing, but `early_failures` failed requests suffice to roll back.
        max_error_ratio: Errors above live's own ratio.
        max_latency_ratio: p95 against live's.
        min_latency_s: p95 below this is fine whatever the ratio.
        max_drift: PSI of the output.
    """

    min_requests: int = 200
    early_failures: int = 5
    max_error_ratio: float = 0.01
    max_latency_ratio: float = 2.0
    min_latency_s: float = 0.02
    max_drift: float = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do, and why in one sentence."""

    action: Action
    reason: str


def decide(canary: Numbers, live: Numbers, config: GuardConfig | None = None) -> Decision:
    """Judge a canary beside live. What is wrong rolls back at once; what is fine waits for enough requests.

    >>> decide(Numbers(requests=500, failed=0, p95_s=0.01), Numbers(requests=5000, failed=2, p95_s=0.01)).action
    <Action.PROMOTE: 'promote'>
    """
    config = config or GuardConfig()
    enough = canary.requests >= config.min_requests
    excess = canary.error_ratio - live.error_ratio
    if (enough or canary.failed >= config.early_failures) and excess > config.max_error_ratio:
        text = f"{canary.error_ratio:.1%} of its requests failed, {live.error_ratio:.1%} of live's"
        return Decision(action=Action.ROLL_BACK, reason=text)
    if not enough:
        text = f"{canary.requests} of {config.min_requests} requests seen"
        return Decision(action=Action.WAIT, reason=text)
    if canary.p95_s > max(config.min_latency_s, live.p95_s * config.max_latency_ratio):
        text = f"p95 is {canary.p95_s * 1000:.1f} ms, live's {live.p95_s * 1000:.1f} ms"
        return Decision(action=Action.ROLL_BACK, reason=text)
    if canary.drift > config.max_drift:
        text = f"its output drifted by PSI {canary.drift:.2f}, limit {config.max_drift:g}"
        return Decision(action=Action.ROLL_BACK, reason=text)
    counts = f"{canary.requests} requests, {canary.error_ratio:.1%} failed, p95 {canary.p95_s * 1000:.1f} ms"
    return Decision(action=Action.PROMOTE, reason=f"{counts}: as good as live")
