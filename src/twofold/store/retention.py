"""How long telemetry is kept, by signal. The worker asks once in a while; pinned versions keep their files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from twofold.errors import ConfigError
from twofold.store.history import History, Table

log = logging.getLogger(__name__)

DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionConfig:
    """Days that telemetry is kept, by its own time; 0 keeps it for ever.

    Attributes:
        samples_days, logs_days, spans_days, predictions_days: By signal.
        every_s: How often it is looked for what is past its time.

    Raises:
        ConfigError: A time below zero.
    """

    samples_days: float = 90.0
    logs_days: float = 30.0
    spans_days: float = 14.0
    predictions_days: float = 180.0
    every_s: float = 3600.0

    def __post_init__(self) -> None:
        for name in (*(f"{table}_days" for table in Table), "every_s"):
            if getattr(self, name) < 0:
                raise ConfigError(f"retention.{name} is {getattr(self, name)}; it must not be below 0", setting=name)

    def days(self, table: Table) -> float:
        """Of one table."""
        return float(getattr(self, f"{table}_days"))


LettingGo = Callable[[Table, int], object]
"""Told of a table and the time before which its rows go, while they are still there."""


def expire(
    history: History, config: RetentionConfig, *, now_ns: int, letting_go: LettingGo | None = None
) -> Mapping[Table, int]:
    """Let go what is past its time; returns rows by table.

    A file goes when its newest row is past its time, so rows outlive theirs by at most a window of the history.
    Age counts from `now_ns`, or from a day past the newest row where that is earlier: a clock that jumps ahead
    deletes at most a day too much, and while nothing arrives nothing but the oldest day goes.
    """
    gone: dict[Table, int] = {}
    newest_ns = history.newest_ns()
    for table in Table:
        if config.days(table):
            before_ns = min(now_ns, newest_ns + DAY_NS) - int(config.days(table) * DAY_NS)
            if letting_go is not None:
                letting_go(table, before_ns)
            gone[table] = history.expire(table, before_ns)
            if gone[table]:
                log.info("%d rows of %s were older than %g days", gone[table], table, config.days(table))
    return gone
