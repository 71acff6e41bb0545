"""Service level objectives: what was promised, and how much of the error budget is left."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from twofold.errors import ConfigError
from twofold.records.entity import DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """A promise about the requests that an entity answers.

    Attributes:
        name: Unique in the tenant.
        entity: Whose server and consumer spans count, such as `service:checkout`.
        objective: Share of requests that must be good.
        operation: Only requests of this operation; empty for all.
        threshold_s: A request slower than this is bad too; 0 asks only for no error.
        window_s: The budget is for this long, back from now.

    Raises:
        ConfigError: No name or entity, an objective not between 0 and 1, or a window below an hour.
    """

    name: str
    entity: str
    objective: float = 0.99
    operation: str = ""
    threshold_s: float = 0.0
    window_s: float = 30 * 86_400.0

    def __post_init__(self) -> None:
        if not self.name or ":" not in self.entity:
            raise ConfigError(f"an SLO needs a name and an entity such as service:checkout; got {self.entity!r}")
        if not 0.0 < self.objective < 1.0:
            raise ConfigError(f"SLO {self.name}: objective {self.objective} must be between 0 and 1, such as 0.995")
        if self.window_s < 3600.0 or self.threshold_s < 0.0:  # noqa: PLR2004 - an hour
            raise ConfigError(f"SLO {self.name}: window_s must be an hour or more, threshold_s not below 0")


class SloState(StrEnum):
    """BURNING: an alert's pair of windows is past its rate. EXHAUSTED: nothing of the budget is left."""

    OK = "ok"
    BURNING = "burning"
    EXHAUSTED = "exhausted"


@dataclass(frozen=True, slots=True, kw_only=True)
class SloStatus:
    """How an objective stands.

    Attributes:
        id: The objective's name.
        total, bad: Requests in the window.
        budget_left: Share of the allowed bad requests that is left; below 0 when overspent. Allowed are
            `(1 - objective) * total`.
        burn_1h, burn_6h: How many times faster than allowed the budget was used in the last hours; None
            without requests.
        exhausted_at: When the budget ends at the rate of the last six hours; None when it does not within the window.
        updated: Event time.
    """

    id: str
    entity: str
    objective: float
    threshold_s: float
    window_s: float
    operation: str
    total: int
    bad: int
    budget_left: float
    updated: datetime
    state: SloState = SloState.OK
    burn_1h: float | None = None
    burn_6h: float | None = None
    exhausted_at: datetime | None = None
    tenant: str = DEFAULT_TENANT
