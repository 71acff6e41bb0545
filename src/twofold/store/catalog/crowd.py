"""Which metric has the most series, and which of its labels makes them many: what a refusal names."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import orjson

SAMPLE: Final = 2_000  # series looked at: enough to tell a user's id from a region


@dataclass(frozen=True, slots=True)
class Crowd:
    """A metric's series, and its label with the most values among those looked at.

    Attributes:
        seen: Series looked at.
        label: Empty when the metric has no labels.
    """

    metric: str
    series: int
    seen: int
    label: str = ""
    values: int = 0

    def __str__(self) -> str:
        """In words, for an error."""
        if not self.label:
            return f"metric {self.metric} has {self.series} series"
        among = "" if self.seen == self.series else f" of the {self.seen} newest"
        return f"metric {self.metric} has {self.series} series; its label {self.label} has {self.values} values{among}"


def crowd_of(metric: str, series: int, identities: Iterable[bytes]) -> Crowd:
    """Look at up to `SAMPLE` identities (JSON of metric and labels), the newest first."""
    values: dict[str, set[str]] = {}
    seen = 0
    for identity in itertools.islice(identities, SAMPLE):
        seen += 1
        for name, value in orjson.loads(identity)[1].items():
            values.setdefault(name, set()).add(value)
    label = max(values, key=lambda name: (len(values[name]), name), default="")
    return Crowd(metric, series, seen, label, len(values.get(label, ())))
