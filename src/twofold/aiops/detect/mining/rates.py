"""Rates of templates as series: which (entity, template) has one, and errors that are hardly ever written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from twofold.aiops.detect.register import NO_SID, Registrar
from twofold.records.columns import samples_batch
from twofold.records.series import Origin, Series, sid_text
from twofold.records.template import TemplateUse
from twofold.records.time import SECOND_NS, to_datetime
from twofold.store.catalog import Catalog

TEMPLATE_RATE: Final = "log.template_rate"
ERROR_RATE: Final = "log.template_error_rate"
RARE_RATE: Final = "log.rare_error_rate"
Count = tuple[str, int, int, int, int]
"""Entity, template id, lines, errors among them, highest severity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateConfig:
    """Which templates get a series of their own.

    Attributes:
        templates_per_entity: At most so many.
        least_lines: A template gets its series after so many lines of the entity,
        least_age_s: and not before it is known for so long, unless it is mostly errors.
        rare_lines: An error of a template with fewer lines than this is rare,
        rare_s: and so it is for so long after the first, if the entity was known for as long before.
        idle_s: A series without a line for this long gets no more zeros.
    """

    templates_per_entity: int = 200
    least_lines: int = 20
    least_age_s: float = 300.0
    rare_lines: int = 10
    rare_s: float = 600.0
    idle_s: float = 86_400.0


@dataclass(slots=True)
class _Pair:
    """One template of one entity; `worst` is the highest severity."""

    first_ns: int
    lines: int = 0
    errors: int = 0
    seen_ns: int = 0
    sid: int = 0
    worst: int = 0


@dataclass(slots=True)
class _Entity:
    """The templates of one entity, the sid of its rare errors, and how many sids its templates hold."""

    first_ns: int
    pairs: dict[int, _Pair] = field(default_factory=dict)
    rare: int = 0
    seen_ns: int = 0
    given: int = 0


class Rates:
    """Counts of closed windows become samples and series definitions."""

    def __init__(self, catalog: Catalog, config: RateConfig, *, tenant: str, settle: Callable[[int], int]) -> None:
        self._registrar, self._config = Registrar(catalog, tenant, Origin.LOG), config
        self._settle = settle
        self._entities: dict[str, _Entity] = {}

    @property
    def refused(self) -> int:
        """Series that the catalog did not take."""
        return self._registrar.refused

    def close(self, counts: Iterable[Count], end_ns: int, width_s: float) -> tuple[list[Series], pa.RecordBatch | None]:
        """New series, and one sample for each at the end of the window.

        Args:
            counts: Entity, template id, lines, errors among them, highest severity.
            end_ns: End of the window.
            width_s: Its width.
        """
        made: list[Series] = []
        rares: Counter[str] = Counter()
        rows: dict[int, float] = {}
        for name, settled, lines, errors, worst in self._settled(counts):
            entity = self._entity(name, end_ns, made)
            entity.seen_ns = end_ns
            pair = self._pair(entity, settled, end_ns)
            if self._is_rare(entity, pair, end_ns):
                rares[name] += errors
            pair.lines += lines
            pair.errors += errors
            pair.worst = max(pair.worst, worst)
            pair.seen_ns = end_ns
            if not pair.sid and self._deserves(entity, pair, end_ns):
                self._give(name, entity, settled, pair, made)
            if pair.sid > 0:
                rows[pair.sid] = lines / width_s
        self._silent(rows, end_ns)
        for name, entity in self._entities.items():
            if end_ns - entity.seen_ns <= self._idle_ns:
                rows[entity.rare] = rares[name] / width_s
        rows.pop(NO_SID, None)
        return made, self._batch(rows, end_ns)

    def _settled(self, counts: Iterable[Count]) -> Iterable[Count]:
        """The same under the names that templates have now, each once."""
        found: dict[tuple[str, int], tuple[int, int, int]] = {}
        for name, template, many, bad, severity in counts:
            key = name, self._settle(template)
            lines, errors, worst = found.get(key, (0, 0, 0))
            found[key] = lines + many, errors + bad, max(worst, severity)
        return ((name, template, *told) for (name, template), told in found.items())

    def uses(self) -> Iterator[tuple[int, TemplateUse]]:
        """Template id, and what is known of one entity's use of it."""
        for name, entity in self._entities.items():
            for template, pair in entity.pairs.items():
                yield (
                    self._settle(template),
                    TemplateUse(
                        entity=name,
                        lines=pair.lines,
                        errors=pair.errors,
                        severity=pair.worst,
                        first_seen=to_datetime(pair.first_ns),
                        last_seen=to_datetime(pair.seen_ns),
                        series=sid_text(pair.sid) if pair.sid > 0 else "",
                    ),
                )

    def _is_rare(self, entity: _Entity, pair: _Pair, end_ns: int) -> bool:
        rare_ns = int(self._config.rare_s * SECOND_NS)
        young = end_ns - pair.first_ns < rare_ns <= pair.first_ns - entity.first_ns
        return pair.lines < self._config.rare_lines or young

    def _deserves(self, entity: _Entity, pair: _Pair, end_ns: int) -> bool:
        old = end_ns - pair.first_ns >= int(self._config.least_age_s * SECOND_NS)
        room = entity.given < self._config.templates_per_entity
        return room and pair.lines >= self._config.least_lines and (old or _mostly_errors(pair))

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

    def _entity(self, name: str, end_ns: int, made: list[Series]) -> _Entity:
        found = self._entities.get(name)
        if found is None:
            found = self._entities[name] = _Entity(end_ns)
            found.rare = self._registrar.register(RARE_RATE, {"entity": name}, made, entity=name)
        return found

    def _pair(self, entity: _Entity, template: int, end_ns: int) -> _Pair:
        """The pair of a template; what former names of it held is taken over."""
        found = entity.pairs.get(template)
        if found is not None:
            return found
        found = entity.pairs[template] = _Pair(end_ns)
        for former in [each for each in entity.pairs if each != template and self._settle(each) == template]:
            old = entity.pairs.pop(former)
            found.first_ns = min(found.first_ns, old.first_ns)
            found.lines += old.lines
            found.errors += old.errors
            found.worst = max(found.worst, old.worst)
            if not found.sid:
                found.sid = old.sid
            elif old.sid > 0:
                entity.given -= 1
        return found

    def _give(self, name: str, entity: _Entity, template: int, pair: _Pair, made: list[Series]) -> None:
        labels = {"entity": name, "template": f"{template:016x}"}
        metric = ERROR_RATE if _mostly_errors(pair) else TEMPLATE_RATE
        pair.sid = self._registrar.register(metric, labels, made, entity=name)
        entity.given += pair.sid > 0

    def plain(self) -> dict[str, Any]:
        """The state as JSON values."""
        entities = [
            [
                *(name, e.first_ns, e.rare, e.seen_ns, e.given),
                [[t, p.first_ns, p.lines, p.errors, p.seen_ns, p.sid, p.worst] for t, p in e.pairs.items()],
            ]
            for name, e in self._entities.items()
        ]
        return {"entities": entities, "refused": self.refused}

    def resume(self, plain: dict[str, Any]) -> None:
        """Take back what `plain` gave. Raises `KeyError`, `TypeError` or `ValueError` when it is something else."""
        entities = {}
        for name, first_ns, rare, seen_ns, given, pairs in plain["entities"]:
            held = {int(template): _Pair(*(int(each) for each in rest)) for template, *rest in pairs}
            entities[str(name)] = _Entity(int(first_ns), held, int(rare), int(seen_ns), int(given))
        self._entities, self._registrar.refused = entities, int(plain["refused"])

    def keep(self, mine: Callable[[str], bool]) -> None:
        """Forget entities that are another partition's."""
        self._entities = {name: entity for name, entity in self._entities.items() if mine(name)}


def _mostly_errors(pair: _Pair) -> bool:
    return 2 * pair.errors > pair.lines


def tallied(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of (entity, template, lines, errors, highest severity) with equal entity and template as one, in order."""
    stacked = np.concatenate(rows)
    keys, inverse = np.unique(stacked[:, :2], axis=0, return_inverse=True)
    sums = np.zeros((len(keys), 3), np.int64)
    np.add.at(sums[:, :2], inverse.ravel(), stacked[:, 2:4])
    np.maximum.at(sums[:, 2], inverse.ravel(), stacked[:, 4])
    return np.concatenate([keys, sums], axis=1)
