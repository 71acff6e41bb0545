"""Settings of the panel detector: what a released version of it consists of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from twofold.errors import ConfigError
from twofold.stats.series.layout import HEAD, PARAMS


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelConfig:
    """One fixed setting for all series. Times are in seconds; where samples come slowly, a least number of points.

    Attributes:
        alerts_per_day: Budget of false findings per series-day; sets the score past which a sample counts.
        least_score: The score that always has to be passed, -log10 of the tail probability.
        persist_s: How long an exceedance must last at least: samples that span it.
        warm_s, warm_points: History before a series can have a finding.
        recover_s: A finding closes after this long back in band.
        readmit_s, readmit_points: A finding still open after this long closes as a new level.
        update_s: An open finding that got worse is told again at most this often.
        heartbeat_s: An open finding is told again this often in any case.
        silent_s, silent_periods: An entity whose received series are all silent for this long, and
            for that many of their periods, is absent.
        series_silent_s: A single series that reported regularly for as long is missed after this time.
        resume_s: A jump of the watermark by more than this is our own pause, not silence of others.
        fast_s, fast_points: Memory of the fast level (shocks).
        smooth_s, smooth_points: Smoothing of the residual to the slow level (shifts).
        slow_s: Memory of the slow level.
        level_s, level_points: Memory of the reference level that findings speak of.
        scale_points: Memory of the usual sizes.
        clip: Usual sizes past which a sample moves a level no further.
        season_rate: Share of a day's departure that the daily season takes over.
        season_after_s: History before the season is learnt.
        season_bins: Bins of the daily season.
        tail_cap: Samples after which histograms of tails are halved.
        tail_prior: Weight of the power law that stands for what was not seen yet, in samples.
        block_s, block_points: Length of the blocks whose largest sizes tell what is usual.
        shift_points: Samples after which a lasting shift becomes the slow level.
        floors: `metric=factor` each: how many times as large as usual a change of that metric must be to matter. A
            name stands for all that begin with it and a dot; the longest that fits counts.
    """

    alerts_per_day: float = 0.05
    least_score: float = 3.0
    persist_s: float = 10.0
    warm_s: float = 150.0
    warm_points: int = 12
    recover_s: float = 30.0
    readmit_s: float = 1800.0
    readmit_points: int = 24
    update_s: float = 15.0
    heartbeat_s: float = 300.0
    silent_s: float = 45.0
    silent_periods: float = 4.0
    series_silent_s: float = 3600.0
    resume_s: float = 20.0
    fast_s: float = 120.0
    fast_points: int = 20
    smooth_s: float = 30.0
    smooth_points: int = 10
    slow_s: float = 172_800.0
    level_s: float = 900.0
    level_points: int = 60
    scale_points: int = 10_000
    clip: float = 3.0
    season_rate: float = 0.1
    season_after_s: float = 43_200.0
    season_bins: int = 16
    tail_cap: int = 20_000
    tail_prior: float = 3.0
    block_s: float = 10_800.0
    block_points: int = 12
    shift_points: int = 120
    floors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for text in self.floors:
            _factor(text)
        for name in (field.name for field in fields(self) if field.name != "floors"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise ConfigError(f"{name} is {value!r}, must be a number not below 0", setting=name)
        for name, least in (("season_bins", HEAD), ("warm_points", HEAD), ("tail_cap", 100), ("scale_points", 1)):
            if getattr(self, name) < least:
                raise ConfigError(f"{name} is {getattr(self, name)}, must be at least {least}", setting=name)
        if self.tail_cap > np.iinfo(np.uint16).max:
            raise ConfigError(f"tail_cap is {self.tail_cap}, must fit 16 bits", setting="tail_cap")
        if self.alerts_per_day == 0:
            raise ConfigError("alerts_per_day is 0, which no threshold keeps; use a small number")
        if not self.season_rate < 1:
            raise ConfigError(f"season_rate is {self.season_rate}, must be below 1", setting="season_rate")

    def to_json(self) -> str:
        """As JSON, keys sorted and 20 written like 20.0 where it is one setting: the bytes of a registered version.

        >>> PanelConfig.from_json(PanelConfig(persist_s=20).to_json()).persist_s
        20.0
        """
        wholes = {each.name for each in fields(self) if each.type == "int"}
        numbers = [each.name for each in fields(self) if each.name != "floors"]
        same: dict[str, Any] = {name: (int if name in wholes else float)(getattr(self, name)) for name in numbers}
        return json.dumps(same | {"floors": list(self.floors)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> PanelConfig:
        """Inverse of `to_json`; what is left out has its default. Raises `ConfigError` for unknown keys, bad values."""
        try:
            given: Any = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"a panel's settings must be a JSON object: {error}") from error
        if not isinstance(given, dict):
            raise ConfigError(f"a panel's settings must be a JSON object, not {type(given).__name__}")
        unknown = sorted(given.keys() - {field.name for field in fields(cls)})
        if unknown:
            raise ConfigError(f"unknown settings of a panel: {', '.join(unknown)}", unknown=unknown)
        return cls(**given | {"floors": tuple(given.get("floors", ()))})

    def floor_factor(self, metric: str) -> float:
        """How many times as large as usual a change of this metric must be to matter.

        >>> PanelConfig(floors=("span.duration=2", "span.duration.p99=4")).floor_factor("span.duration.p95")
        2.0
        """
        factor, length = 1.0, -1
        for text in self.floors:
            name, value = _factor(text)
            if len(name) > length and f"{metric}.".startswith(f"{name}."):
                factor, length = value, len(name)
        return factor

    @property
    def sha256(self) -> str:
        """Content hash of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def params(self) -> np.ndarray[Any, Any]:
        """The kernel's parameters, one record."""
        found = np.zeros(1, PARAMS)
        for name in PARAMS.names or ():
            found[name] = getattr(self, name)
        return found


def _factor(text: object) -> tuple[str, float]:
    """The name and the number of `metric=factor`. Raises `ConfigError`."""
    name, equals, value = str(text).rpartition("=")
    try:
        factor = float(value)
    except ValueError:
        factor = 0.0
    if not (equals and name and 0.0 < factor < 1e6):  # noqa: PLR2004 - more is never, which silences
        raise ConfigError(f"floors names {text!r}; write metric=factor with a factor above 0", setting="floors")
    return name, factor
