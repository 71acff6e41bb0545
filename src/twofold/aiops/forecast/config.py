"""Settings of the capacity forecaster: what a released version of it consists of."""

from __future__ import annotations

from dataclasses import dataclass

from twofold.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityConfig:
    """One setting for all series that can run out.

    Attributes:
        horizon_s: The farthest exhaustion that is told; never farther than what was seen of a series supports.
        lead_s: From when on a forecast is an alert, too: when the limit is expected within this time.
        open_at: Probability from which a forecast is made.
        close_at: Probability below which it is withdrawn.
        every_s: Event time between two judgements.
        confirm: Judgements in a row that must agree before a forecast is made.
        reached: Share of the limit that counts as full; 1 means entirely. Forecasts name it where it is less.
    """

    horizon_s: float = 2_592_000.0
    lead_s: float = 345_600.0
    open_at: float = 0.8
    close_at: float = 0.3
    every_s: float = 30.0
    confirm: int = 2
    reached: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 < self.close_at < self.open_at < 1.0:
            raise ConfigError(f"close_at {self.close_at} and open_at {self.open_at} must ascend between 0 and 1")
        if self.lead_s <= 0:
            raise ConfigError(
                f"lead_s {self.lead_s} must be above 0; it is the time before the limit that alerts begin"
            )
        if self.horizon_s <= 0 or self.every_s <= 0 or self.confirm < 1 or not 0.0 < self.reached <= 1.0:
            raise ConfigError("horizon_s, every_s and confirm must be above 0, reached in (0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastConfig:
    """Forecasters beside our own.

    Attributes:
        engines: In any number: `statsforecast:<model>` (the extra `forecast`), `onnx:<file>` (the extra `onnx`)
            or `python:<module>:<factory>`, which is imported into this process.
    """

    engines: tuple[str, ...] = ()
