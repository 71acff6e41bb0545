"""A series when it is first seen: relabelled, dropped, or converted to base units. Known series cost nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.ingest.clean.config import CleanConfig
from twofold.aiops.ingest.clean.relabel import Relabel
from twofold.aiops.ingest.clean.units import convert
from twofold.aiops.ingest.entities import labels_entity
from twofold.aiops.ingest.rows import DROPPED
from twofold.records.entity import EntityKind
from twofold.stats.series.rows import RowIndex

METRIC: Final = "__name__"
ENTITY: Final = "__entity__"
NAMELESS: Final = "relabel_nameless"
_HIDDEN: Final = "__"


@dataclass(frozen=True, slots=True)
class Identity:
    """A series as it is registered; its values are multiplied by `factor`."""

    metric: str
    labels: dict[str, str]
    entity: str
    unit: str
    factor: float = 1.0


class SeriesCleaner:
    """Applies the rules to one series at a time.

    Attributes:
        drops: Reasons under which dropped points are counted, in the order of `sid - DROPPED`.
    """

    def __init__(self, config: CleanConfig | None = None) -> None:
        config = config or CleanConfig()
        self._relabel = Relabel(config.relabel) if config.relabel else None
        self._units = config.units
        names = [f"relabel_{rule.name or number}" for number, rule in enumerate(config.relabel, 1)]
        self.drops: tuple[str, ...] = (*names, NAMELESS) if names else ()

    def clean(self, metric: str, labels: Mapping[str, str], entity: str, unit: str) -> Identity | int:
        """The series to register, or a sid from `DROPPED` on that says which rule drops it."""
        found = dict(labels)
        if self._relabel is not None:
            changed = self._relabel.apply({**found, METRIC: metric, ENTITY: entity})
            if isinstance(changed, int):
                return DROPPED + changed
            metric = changed.get(METRIC, "")
            if not metric:
                return DROPPED + len(self.drops) - 1
            entity = _entity(changed.get(ENTITY, ""), entity, labels, changed)
            found = {name: value for name, value in changed.items() if not name.startswith(_HIDDEN)}
        if not self._units:
            return Identity(metric, found, entity, unit)
        metric, found, unit, factor = convert(metric, found, unit)
        return Identity(metric, found, entity, unit, factor)


def _entity(said: str, was: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The entity that rules set, where it is one; else, where labels named it, what they name now."""
    kind, _, name = said.partition(":")
    if said != was and kind in set(EntityKind) and name:
        return said
    return labels_entity(after) if labels_entity(before) == was else was


class Factors:
    """Sids whose values are converted, and by what. Written under the index's lock, read by many threads."""

    def __init__(self) -> None:
        self._index = RowIndex()
        self._factors = np.empty(64)

    def __len__(self) -> int:
        return len(self._index)

    def set(self, sid: int, factor: float) -> None:
        """Values of this series are multiplied by `factor`."""
        row = int(self._index.rows(np.array([sid], np.int64))[0])
        if row >= len(self._factors):
            self._factors = np.concatenate([self._factors, np.empty(len(self._factors))])
        self._factors[row] = factor

    def apply(self, sids: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The values in base units; a copy where any is converted."""
        at = self._index.find(sids)
        known = np.flatnonzero((at >= 0) & np.isfinite(values))  # a mark of the end stays the NaN that it is
        if not len(known):
            return values
        found = values.copy()
        found[known] *= self._factors[at[known]]
        return found
