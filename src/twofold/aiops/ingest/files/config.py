"""Settings of the files that are followed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from twofold.errors import ConfigError
from twofold.records.entity import DEFAULT_TENANT


@dataclass(frozen=True, slots=True, kw_only=True)
class TailedFiles:
    """Log files to follow.

    Attributes:
        path: Files by pattern, such as `/var/log/shop/*.log`.
        service: Whose lines they are; empty takes the name of the file.
        tenant: Whose telemetry this is.
        starts: Regular expression of an entry's first line; other lines (a stack trace's) join the entry before.
            Empty makes every line an entry.
        zone: IANA time zone of times that carry none.
        from_start: Read files that are met for the first time at the first start; else only what is added from then on.
        interval_s: Time between two looks.

    Raises:
        ConfigError: No path, a pattern or a zone that is none, or a time that is not positive.
    """

    path: str
    service: str = ""
    tenant: str = DEFAULT_TENANT
    starts: str = ""
    zone: str = "UTC"
    from_start: bool = True
    interval_s: float = 0.5

    def __post_init__(self) -> None:
        if not self.path:
            raise ConfigError("ingest.files needs a path", setting="path")
        if self.interval_s <= 0:
            raise ConfigError(f"ingest.files interval_s is {self.interval_s}; it must be above 0", setting="interval_s")
        try:
            re.compile(self.starts)
            ZoneInfo(self.zone)
        except re.error as error:
            raise ConfigError(f"ingest.files starts {self.starts!r}: {error}", setting="starts") from error
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ConfigError(f"ingest.files zone {self.zone!r} is not an IANA time zone", setting="zone") from error
