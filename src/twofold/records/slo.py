"""Service level objectives: what was promised, and how much of the error budget is left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from twofold.errors import ConfigError
from twofold.records.entity import DEFAULT_TENANT

BURN: Final = "slo.burn_rate"
"""Series of the burn rate over the last hour, and metric of findings that page."""
SLOW_BURN: Final = "slo.slow_burn_rate"
"""Series of the burn rate over the last day, and metric of findings that can wait until the morning."""
BUDGET: Final = "slo.budget_left"
"""Series of the share of the error budget that is left."""
SHORTEST_S: Final = 3600.0
LONGEST_S: Final = 366 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """A promise about the requests that an entity answers.

    Attributes:
        name: Unique in the tenant.
        entity: Whose server and consumer spans count, such as `service:checkout`.
        objective: Share of requests that must be good.
        operation: Only requests of this operation; empty for all.
        threshold_s: A request slower than this is bad too; 0 asks only for no error.
        window_s: The budget is for this long, back from now; an hour to 366 days.

    Raises:
        ConfigError: No name or entity, an objective not between 0 and 1, a window outside its limits, or a
            threshold below 0.
    """

    name: str
    entity: str
    objective: float = 0.99
    operation: str = ""
    threshold_s: float = 0.0
    window_s: float = 30 * 86_400.0

    def __post_init__(self) -> None:
        if not self.name.strip() or not all(self.entity.partition(":")):
            raise ConfigError(f"an SLO needs a name and an entity such as service:checkout; got {self.entity!r}")
        if not 0.0 < self.objective < 1.0:
            raise ConfigError(f"SLO {self.name}: objective {self.objective} must be between 0 and 1, such as 0.995")
        if not SHORTEST_S <= self.window_s <= LONGEST_S:
            raise ConfigError(
                f"SLO {self.name}: window_s {self.window_s:.15g} must be between {SHORTEST_S:.0f} (an hour) and "
                f"{LONGEST_S:.0f} (366 days); 2592000 are 30 days"
            )
        if not 0.0 <= self.threshold_s < self.window_s:
            raise ConfigError(
                f"SLO {self.name}: threshold_s {self.threshold_s:g} must be seconds, or 0 where only errors are bad"
            )


def distinct(slos: Iterable[Slo]) -> None:
    """Check that every name stands once: it is what the counts are kept under. Raises `ConfigError`."""
    twice = sorted(name for name, times in Counter(slo.name for slo in slos).items() if times > 1)
    if twice:
        raise ConfigError(
            f"SLO names must differ; more than once stands: {', '.join(twice)}. Give each a name of its own",
            setting="slos",
        )


class SloState(StrEnum):
    """BURNING: a finding about its burn rate is open. EXHAUSTED: nothing of the budget is left."""

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
            `(1 - objective) * total`; before the first window has passed, of the total that a whole one would bring.
        burn_1h, burn_6h: How many times faster than allowed the budget was used in the last hours; None
            without requests.
        exhausted_at: When the budget ends at the rate of the last six hours, while older bad requests leave the
            window; None when it does not within a window, is spent already, or few bad requests prove no rate.
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


def waiting(slo: Slo, moment: datetime, *, tenant: str = DEFAULT_TENANT) -> SloStatus:
    """An objective before its first request."""
    return SloStatus(
        id=slo.name,
        entity=slo.entity,
        objective=slo.objective,
        threshold_s=slo.threshold_s,
        window_s=slo.window_s,
        operation=slo.operation,
        total=0,
        bad=0,
        budget_left=1.0,
        updated=moment,
        tenant=tenant,
    )
