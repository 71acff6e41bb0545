"""Settings of how our own detectors are governed. Apart from the code they are for: the command line reads them too."""

from __future__ import annotations

from dataclasses import dataclass, field

from twofold.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowConfig:
    """What a shadow may cost, and how long a version must be one.

    Attributes:
        most_series: It sees the series that were met first, so many; the live detector sees all.
        most_findings: Findings kept a day of event time; further ones only count.
        least_s: Time of telemetry that a version must have judged as the shadow before it can go live.
    """

    most_series: int = 20_000
    most_findings: int = 2000
    least_s: float = 3600.0

    def __post_init__(self) -> None:
        if self.most_series < 1 or self.most_findings < 1 or not self.least_s >= 0:
            raise ConfigError("detectors.shadow: most_series and most_findings must be 1 or more, least_s not below 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustConfig:
    """When a live detector is taken back because people call its pages false.

    Attributes:
        certainty: How sure it must be that the version is worse, between a half and 1.
        margin: So much lower precision than that of the version before is borne.
        least_precision: What counts instead while nobody judged pages of the version before.
        least_false: Fewer false pages never take a version back.
        false_per_day: False pages a day that are borne; more, proven with the same certainty, are not.
        days: Pages so long ago still speak for the version before.
    """

    certainty: float = 0.95
    margin: float = 0.1
    least_precision: float = 0.5
    least_false: int = 3
    false_per_day: float = 2.0
    days: float = 90.0

    def __post_init__(self) -> None:
        if not 0.5 < self.certainty < 1.0:  # noqa: PLR2004 - less is a guess
            raise ConfigError(f"detectors.trust.certainty is {self.certainty}, must lie between 0.5 and 1")
        if not (0.0 <= self.margin < 1.0 and 0.0 < self.least_precision < 1.0):
            raise ConfigError("detectors.trust: margin and least_precision must lie between 0 and 1")
        if self.least_false < 1 or not self.false_per_day > 0 or not self.days > 0:
            raise ConfigError("detectors.trust: least_false, false_per_day and days must be above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorsConfig:
    """How our own detectors are governed.

    Attributes:
        shadow: What a version that shadows the live one may cost.
        trust: When a live version is taken back for what people say of its pages.
    """

    shadow: ShadowConfig = field(default_factory=ShadowConfig)
    trust: TrustConfig = field(default_factory=TrustConfig)
