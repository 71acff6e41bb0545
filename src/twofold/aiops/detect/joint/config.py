"""Settings of the detector of whole entities."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np

from twofold.errors import ConfigError
from twofold.records.time import SECOND_NS
from twofold.stats.joint.layout import PARAMS

RUN_WORTH: Final = 0.75  # as for the detector of series
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JointConfig:
    """One fixed setting for all entities.

    Attributes:
        together: Look at all series of an entity at once.
        apart: Learn which series of an entity, and of callers and callees, go together, and tell when two part. Off
            by default: within the budget it finds little on labelled machines, for half as much memory again.
        tick_s: Samples are looked at in ticks of this length; a series' tick is its mean.
        alerts_per_day: Budget of false findings an entity and day, for each of the two.
        needed, needed_apart: Improbable ticks in a row that open a finding.
        least_series: An entity with fewer series is left to the detector of series.
        moved_z: Usual sizes from which a series is said to have moved.
        most_z: Usual sizes past which more means nothing: a constant that changes is no more than that.
        fast_ticks: Memory of the level that a tick is measured against.
        scale_ticks: Memory of usual sizes.
        slow_ticks: Memory of the slow level.
        couple_ticks: Memory of how series go together.
        probe_ticks: A candidate for a partner is tried so long.
        coupled: Correlation from which two series belong together.
        readmit_ticks: A finding still open after so many ticks closes: the new state is the usual one.
        max_ring: Series of an entity and its neighbours among which partners are looked for.
    """

    together: bool = True
    apart: bool = False
    tick_s: float = 15.0
    alerts_per_day: float = 0.05
    needed: int = 2
    needed_apart: int = 3
    least_series: int = 3
    moved_z: float = 4.0
    most_z: float = 1e6
    fast_ticks: int = 10
    scale_ticks: int = 3000
    slow_ticks: int = 2880
    couple_ticks: int = 20_000
    probe_ticks: int = 240
    coupled: float = 0.8
    readmit_ticks: int = 60
    max_ring: int = 256

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.type != "bool" and (isinstance(value, bool) or not 0 < value < math.inf):
                raise ConfigError(f"{each.name} is {value!r}, must be a number above 0", setting=each.name)
        if self.tick_s < 1:
            raise ConfigError(f"tick_s is {self.tick_s!r}, must be at least 1", setting="tick_s")

    @property
    def on(self) -> bool:
        """Whether there is anything to do."""
        return self.together or self.apart

    @property
    def tick_ns(self) -> int:
        """Length of a tick."""
        return int(self.tick_s * SECOND_NS)

    def params(self) -> np.ndarray[Any, Any]:
        """The kernel's parameters, one record.

        A threshold is the budget's share of a tick, in powers of ten; ticks in a row are far from independent, so each
        further one that is asked for takes off no more than `RUN_WORTH`.
        """
        found = np.zeros(1, PARAMS)
        names = {each.name for each in fields(self)}
        for name in PARAMS.names or ():
            if name in names:
                found[name] = getattr(self, name)
        once = math.log10(_DAY_S / self.tick_s / self.alerts_per_day)
        found["threshold"] = once - RUN_WORTH * (self.needed - 1)
        found["threshold_apart"] = once - RUN_WORTH * (self.needed_apart - 1)
        return found
