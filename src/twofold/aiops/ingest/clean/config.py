"""Settings of cleaning. Everything is off until it is set, but for limits and for watching clocks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from twofold.errors import ConfigError

MAX_RULES: Final = 100  # of one list; each rule that drops has a number in the sids of what it drops
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{0,64}")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.]*")
_TARGET: Final = re.compile(r"(?:(?:[a-zA-Z_.]|\$(?:\{\w+\}|\w+))+\w*)+")
_ANY: Final = "(.*)"
_WHOLE: Final = "$1"


class Action(StrEnum):
    """What a relabel rule does, in Prometheus's words."""

    REPLACE = "replace"
    KEEP = "keep"
    DROP = "drop"
    KEEPEQUAL = "keepequal"
    DROPEQUAL = "dropequal"
    HASHMOD = "hashmod"
    LABELMAP = "labelmap"
    LABELDROP = "labeldrop"
    LABELKEEP = "labelkeep"
    LOWERCASE = "lowercase"
    UPPERCASE = "uppercase"


_NEED_TARGET: Final = frozenset(
    {Action.REPLACE, Action.HASHMOD, Action.LOWERCASE, Action.UPPERCASE, Action.KEEPEQUAL, Action.DROPEQUAL}
)
_BY_NAME: Final = frozenset({Action.LABELDROP, Action.LABELKEEP})
_BY_EQUALITY: Final = frozenset({Action.KEEPEQUAL, Action.DROPEQUAL})


@dataclass(frozen=True, slots=True, kw_only=True)
class RelabelRule:
    """One step of relabelling, with the fields and defaults of Prometheus's `relabel_config`.

    The metric's name is the label `__name__`, its entity `__entity__`; other labels that begin with two underscores
    are for passing values between rules and are left out at the end.

    Attributes:
        source_labels: Their values are joined by `separator` and matched against the whole of `regex`.
        target_label: What is set; groups of the match may be used (`${1}`) by `replace`.
        name: Under which what it drops is counted; else its number, from 1.

    Raises:
        ConfigError: As Prometheus refuses it, and when `regex` is none that Python understands.

    Source: Prometheus documentation, "relabel_config".
    """

    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    regex: str = _ANY
    modulus: int = 0
    target_label: str = ""
    replacement: str = _WHOLE
    action: Action = Action.REPLACE
    name: str = ""

    def __post_init__(self) -> None:
        compiled(self.regex, "ingest.clean.relabel")
        named(self.name, "ingest.clean.relabel")
        if fault := self._fault():
            raise ConfigError(f"ingest.clean.relabel: {fault}", setting="ingest.clean.relabel")

    def _fault(self) -> str:
        action, target = self.action, self.target_label
        valid = _TARGET.fullmatch(target) if action is Action.REPLACE else _LABEL.fullmatch(target)
        replaced = self.replacement != _WHOLE
        checks = (
            (action is Action.HASHMOD and self.modulus <= 0, f"hashmod requires a modulus above 0, not {self.modulus}"),
            (action in _NEED_TARGET and not target, f"action {action} requires 'target_label' value"),
            (action in _NEED_TARGET and not valid, f"{target!r} is invalid 'target_label' for {action} action"),
            (
                action is Action.LABELMAP and not _TARGET.fullmatch(self.replacement),
                f"{self.replacement!r} is invalid 'replacement' for labelmap action",
            ),
            (
                action in _BY_EQUALITY and (self.regex != _ANY or self.modulus or replaced),
                f"action {action} takes only 'source_labels' and 'target_label'",
            ),
            (
                action in _BY_NAME and (self.source_labels or target or self.modulus or replaced),
                f"action {action} takes only 'regex'",
            ),
        )
        return next((fault for wrong, fault in checks if wrong), "")


class Signal(StrEnum):
    """What a drop rule looks at."""

    LOGS = "logs"
    SPANS = "spans"


@dataclass(frozen=True, slots=True, kw_only=True)
class DropRule:
    """Log lines or spans that are not worth keeping: all conditions that are given must hold.

    Attributes:
        entity: Whole entity id, such as `service:gateway|pod:.*`.
        below: Log lines less severe than this SeverityNumber (9 info, 13 warning, 17 error); unknown ones stay.
        match: Found anywhere in the log line, or in the span's name.
        attributes: Attribute to the regular expression that its whole text must match.

    Raises:
        ConfigError: No condition at all, or a regular expression that is none.
    """

    name: str
    signal: Signal = Signal.LOGS
    entity: str = ""
    below: int = 0
    match: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        named(self.name, "ingest.clean.drop")
        for regex in (self.entity, self.match, *self.attributes.values()):
            compiled(regex, f"ingest.clean.drop {self.name}")
        if not (self.entity or self.below or self.match or self.attributes):
            raise ConfigError(f"ingest.clean.drop {self.name}: it has no condition and would drop everything")


class Scrub(StrEnum):
    """What can be taken out of texts without writing a regular expression."""

    EMAIL = "email"
    IPV4 = "ipv4"
    IPV6 = "ipv6"
    CARD = "card"
    TOKEN = "token"  # noqa: S105 - a word, not a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubRule:
    """Texts to take out by a regular expression of RE2.

    Attributes:
        name: Under which it is counted, and what stands in place of what was found: `[name]`.
    """

    name: str
    regex: str

    def __post_init__(self) -> None:
        named(self.name, "ingest.clean.scrub")
        compiled(self.regex, f"ingest.clean.scrub {self.name}")
        if not self.regex:
            raise ConfigError(f"ingest.clean.scrub {self.name}: the regular expression is empty")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubConfig:
    """What is taken out of log lines, and of the attributes of lines and spans, before they are durable.

    Attributes:
        kinds: Built-in kinds: email, ipv4, ipv6, card (checked by Luhn), token (bearer, JWT, well-known key formats).
        rules: Your own.
        attributes: Attributes whose values are replaced whatever they hold, such as `http.request.header.cookie`.
    """

    kinds: tuple[Scrub, ...] = ()
    rules: tuple[ScrubRule, ...] = ()
    attributes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SkewConfig:
    """When a sender's clock is called wrong.

    Attributes:
        limit_s: Median of receive time minus newest event time beyond which it is; half of it ends it.
        requests: Requests of one entity that the median is taken over.
        entities: Most entities that are watched; the one unseen for longest makes room.
    """

    limit_s: float = 30.0
    requests: int = 15
    entities: int = 5_000

    def __post_init__(self) -> None:
        if self.limit_s <= 0 or self.requests < 3 or self.entities < 1:  # noqa: PLR2004 - a median needs three
            raise ConfigError("ingest.clean.skew: limit_s above 0, requests at least 3, entities at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanConfig:
    """What is done to telemetry before it is durable.

    Attributes:
        relabel: Applied once to each series, when it is first seen; known series cost nothing.
        drop: Log lines and spans that are not kept.
        scrub: What is taken out of texts.
        units: Convert values to base units (s, By, 1) by a series' declared unit, and its name's ending with it.
        tenant_series: Most series of a tenant, about 250 bytes each in memory.
        metric_series: Most series of one metric of a tenant; 0 for no limit but the tenant's.
        past_s: Live samples older than this are refused: they would raise alerts about the past. History belongs into
            the backfill lane, which takes any age.
        skew: When a sender's clock is called wrong.
    """

    relabel: tuple[RelabelRule, ...] = ()
    drop: tuple[DropRule, ...] = ()
    scrub: ScrubConfig = field(default_factory=ScrubConfig)
    units: bool = False
    tenant_series: int = 200_000
    metric_series: int = 50_000
    past_s: float = 86_400.0
    skew: SkewConfig = field(default_factory=SkewConfig)

    def __post_init__(self) -> None:
        if len(self.relabel) > MAX_RULES or len(self.drop) > MAX_RULES:
            raise ConfigError(f"ingest.clean: at most {MAX_RULES} rules of a kind")
        if self.tenant_series < 1 or self.metric_series < 0 or self.past_s <= 0:
            raise ConfigError("ingest.clean: tenant_series and past_s must be above 0, metric_series not negative")


def compiled(regex: str, setting: str) -> re.Pattern[str]:
    """The regular expression, `.` matching line ends too as in Prometheus. Raises `ConfigError`."""
    try:
        return re.compile(regex, re.DOTALL)
    except re.error as error:
        raise ConfigError(f"{setting}: {regex!r} is no regular expression: {error}", setting=setting) from error


def named(name: str, setting: str) -> None:
    """Check a rule's name, which becomes a label value. Raises `ConfigError`."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{setting}: name {name[:80]!r} must be at most 64 letters, digits, '_', '.', '-'")
