"""Rates of templates as series: which (entity, template) has one, and what the others add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from twofold.errors import TooLarge
from twofold.records.columns import samples_batch
from twofold.records.frame import Lane
from twofold.records.series import Origin, Series, SeriesKind
from twofold.records.time import SECOND_NS
from twofold.store.catalog import Catalog

TEMPLATE_RATE: Final = "log.template_rate"
RARE_RATE: Final = "log.rare_error_rate"
OTHER: Final = "other"
NO_SID: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class RateConfig:
    """Which templates get a series of their own.

    Attributes:
        templates_per_entity: At most so many; the lines of the others are the template `other`.
        least_lines: A template gets its series after so many lines of the entity.
        rare_lines: An error of a template with fewer lines than this is rare.
        idle_s: A series without a line for this long gets no more zeros.
    """

    templates_per_entity: int = 200
    least_lines: int = 20
    rare_lines: int = 10
    idle_s: float = 86_400.0


@dataclass(slots=True)
class _Pair:
    """One template of one entity."""

    lines: int = 0
    errors: int = 0
    seen_ns: int = 0
    sid: int = 0


@dataclass(slots=True)
class _Entity:
    """The templates of one entity, and its two series over all of them."""

    pairs: dict[int, _Pair] = field(default_factory=dict)
    other: int = 0
    rare: int = 0
    seen_ns: int = 0
    given: int = 0


class Rates:
    """Counts of closed windows become samples and series definitions.

    Attributes:
        refused: Series that the catalog did not take.
    """

    def __init__(
        self, catalog: Catalog, config: RateConfig, *, tenant: str, lane: Lane, settle: Callable[[int], int]
    ) -> None:
        self._catalog, self._config, self._tenant, self._lane = catalog, config, tenant, lane
        self._settle = settle
        self._entities: dict[str, _Entity] = {}
        self.refused = 0

    def close(
        self, counts: Iterable[tuple[str, int, int, int]], end_ns: int, width_s: float
    ) -> tuple[list[Series], pa.RecordBatch | None]:
        """New series, and one sample for each at the end of the window.

        Args:
            counts: Entity, template id, lines, errors among them.
            end_ns: End of the window.
            width_s: Its width.
        """
        made: list[Series] = []
        others: Counter[str] = Counter()
        rares: Counter[str] = Counter()
        rows: dict[int, float] = {}
        fresh: Counter[tuple[str, int]] = Counter()
        for name, template, lines, errors in counts:
            entity = self._entity(name, made)
            entity.seen_ns = end_ns
            pair = self._pair(entity, self._settle(template))
            if pair.lines < self._config.rare_lines:
                rares[name] += errors
            pair.lines += lines
            pair.errors += errors
            pair.seen_ns = end_ns
            if not pair.sid and pair.lines >= self._config.least_lines:
                self._give(name, entity, self._settle(template), pair, made)
            fresh[name, self._settle(template)] += lines
        for (name, template), lines in fresh.items():
            pair = self._entities[name].pairs[template]
            if pair.sid > 0:
                rows[pair.sid] = lines / width_s
            else:
                others[name] += lines
        self._silent(rows, end_ns)
        for name, entity in self._entities.items():
            if end_ns - entity.seen_ns <= self._idle_ns:
                rows[entity.other] = others[name] / width_s
                rows[entity.rare] = rares[name] / width_s
        rows.pop(NO_SID, None)
        return made, self._batch(rows, end_ns)

    @property
    def _idle_ns(self) -> int:
        return int(self._config.idle_s * SECOND_NS)

    def _batch(self, rows: dict[int, float], end_ns: int) -> pa.RecordBatch | None:
        if not rows:
            return None
        sids = np.array(list(rows), np.int64)
        return samples_batch(sids, np.full(len(sids), end_ns), np.array(list(rows.values()), np.float64))

    def _silent(self, rows: dict[int, float], end_ns: int) -> None:
        """Zero for templates that had no line, until they are idle; those without series are forgotten then."""
        for entity in self._entities.values():
            gone = []
            for template, pair in entity.pairs.items():
                if end_ns - pair.seen_ns > self._idle_ns:
                    gone.append(template)
                elif pair.sid > 0:
                    rows.setdefault(pair.sid, 0.0)
            for template in gone:
                entity.given -= entity.pairs.pop(template).sid > 0

    def _entity(self, name: str, made: list[Series]) -> _Entity:
        found = self._entities.get(name)
        if found is None:
            found = self._entities[name] = _Entity()
            found.other = self._register(TEMPLATE_RATE, {"entity": name, "template": OTHER}, name, made)
            found.rare = self._register(RARE_RATE, {"entity": name}, name, made)
        return found

    def _pair(self, entity: _Entity, template: int) -> _Pair:
        """The pair of a template; what former names of it held is taken over."""
        found = entity.pairs.get(template)
        if found is not None:
            return found
        found = entity.pairs[template] = _Pair()
        for former in [each for each in entity.pairs if each != template and self._settle(each) == template]:
            old = entity.pairs.pop(former)
            found.lines += old.lines
            found.errors += old.errors
            if not found.sid:
                found.sid = old.sid
            elif old.sid > 0:
                entity.given -= 1
        return found

    def _give(self, name: str, entity: _Entity, template: int, pair: _Pair, made: list[Series]) -> None:
        if entity.given >= self._config.templates_per_entity:
            return
        labels = {"entity": name, "template": f"{template:016x}"}
        pair.sid = self._register(TEMPLATE_RATE, labels, name, made)
        entity.given += pair.sid > 0

    def _register(self, metric: str, labels: dict[str, str], entity: str, made: list[Series]) -> int:
        try:
            sid, _ = self._catalog.register(
                metric,
                labels,
                entity=entity,
                tenant=self._tenant,
                unit="1/s",
                kind=SeriesKind.RATE,
                origin=Origin.LOG,
            )
        except TooLarge:
            self.refused += 1
            return NO_SID
        made.append(
            Series(
                sid=sid,
                metric=metric,
                labels=labels,
                entity=entity,
                unit="1/s",
                kind=SeriesKind.RATE,
                origin=Origin.LOG,
                tenant=self._tenant,
            )
        )
        return sid

    def plain(self) -> dict[str, Any]:
        """The state as JSON values."""
        entities = [
            [
                *(name, e.other, e.rare, e.seen_ns, e.given),
                [[t, p.lines, p.errors, p.seen_ns, p.sid] for t, p in e.pairs.items()],
            ]
            for name, e in self._entities.items()
        ]
        return {"entities": entities, "refused": self.refused}

    def resume(self, plain: dict[str, Any]) -> None:
        """Take back what `plain` gave. Raises `KeyError`, `TypeError` or `ValueError` when it is something else."""
        entities = {}
        for name, other, rare, seen_ns, given, pairs in plain["entities"]:
            held = {int(t): _Pair(int(n), int(bad), int(seen), int(sid)) for t, n, bad, seen, sid in pairs}
            entities[str(name)] = _Entity(held, int(other), int(rare), int(seen_ns), int(given))
        self._entities, self.refused = entities, int(plain["refused"])


def tallied(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of (entity, template, lines, errors) with equal entity and template added up, in their order of number."""
    stacked = np.concatenate(rows)
    keys, inverse = np.unique(stacked[:, :2], axis=0, return_inverse=True)
    sums = np.zeros((len(keys), 2), np.int64)
    np.add.at(sums, inverse.ravel(), stacked[:, 2:])
    return np.concatenate([keys, sums], axis=1)
