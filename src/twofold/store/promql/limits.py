"""Bounds of one query, and the account that is kept of them while it runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields
from typing import Final

from twofold.errors import ConfigError, TooLarge, Transient

_MOST_DEPTH: Final = 64
_MOST_OPERATORS: Final = 256
_MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one query.

    Attributes:
        seconds: Longest run; looked at between the nodes of the query.
        points: Most steps of a range query, the number that Prometheus allows.
        samples: Most samples that all selectors together may read.
        cells: Most values (series times steps) of one intermediate result.
        series: Most series of one selector.
        query_bytes: Longest text.
        depth: Deepest nesting of parentheses.
        operators: Most operators; a chain of them is as deep as it is long.
        lookback_ms: How old the last sample may be that an instant selector still shows.
        subquery_step_ms: Step of a subquery that names none.

    Raises:
        ConfigError: One of them is not above zero, or the nesting deeper than native code can follow.
    """

    seconds: float = 30.0
    points: int = 11_000
    samples: int = 10_000_000
    cells: int = 10_000_000
    series: int = 50_000
    query_bytes: int = 16_384
    depth: int = 64
    operators: int = 256
    lookback_ms: int = 300_000
    subquery_step_ms: int = 60_000

    def __post_init__(self) -> None:
        for each in fields(self):
            if not getattr(self, each.name) >= (each.name != "seconds"):
                raise ConfigError(f"promql.{each.name} is {getattr(self, each.name)}; it must be above zero")
        for name, most in (("depth", _MOST_DEPTH), ("operators", _MOST_OPERATORS), ("query_bytes", _MOST_BYTES)):
            if getattr(self, name) > most:
                raise ConfigError(f"promql.{name} is {getattr(self, name)}, at most {most}: the parser recurses")


class TimedOut(Transient):
    """The query ran longer than its limit."""


@dataclass(slots=True)
class Account:
    """What a running query has used, and what it has to tell.

    Attributes:
        warnings: Told to the caller: the answer may not be what was meant.
        infos: Told to the caller: likely mistakes in the query.
    """

    limits: Limits
    samples: int = 0
    warnings: dict[str, None] = field(default_factory=dict)
    infos: dict[str, None] = field(default_factory=dict)
    deadline: float = 0.0

    def __post_init__(self) -> None:
        self.deadline = time.monotonic() + self.limits.seconds

    def check(self) -> None:
        """Raise `TimedOut` when the time is over."""
        if time.monotonic() > self.deadline:
            raise TimedOut(f"query timed out: it ran longer than {self.limits.seconds:g} s; ask for less")

    def read(self, samples: int) -> None:
        """Count samples read. Raises `TooLarge`."""
        self.samples += samples
        if self.samples > self.limits.samples:
            raise TooLarge(
                f"query processing would load too many samples: more than {self.limits.samples}; "
                "ask for fewer series or less time",
                reason="query_samples",
                limit=self.limits.samples,
            )

    def selected(self, series: int) -> None:
        """Check the series of one selector. Raises `TooLarge`."""
        if series > self.limits.series:
            raise TooLarge(
                f"a selector matches more than {self.limits.series} series; add matchers",
                reason="query_series",
                limit=self.limits.series,
            )

    def made(self, series: int, steps: int) -> None:
        """Check the size of a result that is about to be made. Raises `TooLarge`, `TimedOut`."""
        self.check()
        if series * steps > self.limits.cells:
            raise TooLarge(
                f"{series} series of {steps} steps are more than {self.limits.cells} values; "
                "ask for fewer series or a longer step",
                reason="query_cells",
                limit=self.limits.cells,
            )

    def warn(self, text: str) -> None:
        """Tell the caller once."""
        self.warnings.setdefault(f"PromQL warning: {text}")

    def inform(self, text: str) -> None:
        """Tell the caller once."""
        self.infos.setdefault(f"PromQL info: {text}")
