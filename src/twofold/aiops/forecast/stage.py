"""The forecaster of exhaustion: which disk, memory or quota will be full, when, and how sure that is.

Stands behind the receivers' samples. Its claims are records of their own, judged when their time has come, so that
anyone can see how often they were right.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.forecast.choice import Choice
from twofold.aiops.forecast.config import CapacityConfig
from twofold.aiops.forecast.engines import Engine
from twofold.aiops.forecast.limits import Limit, limit_of
from twofold.aiops.forecast.move import kept
from twofold.aiops.forecast.rings import Ring
from twofold.aiops.forecast.words import reason, subject
from twofold.errors import Corrupt, NotFound
from twofold.flow.stage import Mine, State
from twofold.records.codec import decode, encode
from twofold.records.columns import Samples
from twofold.records.entity import DEFAULT_TENANT
from twofold.records.forecast import Forecast, ForecastState
from twofold.records.series import Series, sid_text
from twofold.records.time import SECOND_NS, to_datetime, to_ns
from twofold.stats.fill import LEAST, Fill, fill
from twofold.stats.series.rows import RowIndex
from twofold.store.catalog import Catalog

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FINE_NS, FINE_STEPS = 10 * SECOND_NS, 721
COARSE_NS, COARSE_STEPS = 300 * SECOND_NS, 2017
_NOT_WATCHED: Final = -1
_LEVELS: Final = (0.1, 0.5, 0.9)
_TELL_NS: Final = 300 * SECOND_NS
_DAY_S: Final = 86_400.0
_SUPPORT: Final = ((6.9 * _DAY_S, 5.0), (3.0 * _DAY_S, 2.0), (0.0, 0.5))
"""How far ahead a past supports a claim, in parts of itself, from how much of it on. A wave looks like a trend until it
turns: half of what was seen, twice once daily habits were seen three times, and a month once a week was seen whole."""
_ALMOST: Final = 1e-3
"""So near to the limit is there: values are kept in 32 bits, and reserved blocks and rounding leave a rest."""


class Capacity:
    """Says when series that have a limit will reach it.

    Suits fills and leaks from minutes to a month ahead, by two rings of past values: two hours in steps of 10 s, a
    week in steps of 5 min; 11 KB a series, however long it is watched. Says nothing of series whose limit nobody
    knows, and nothing in their first minutes.

    Args:
        catalog: Tells what a sid is.
        config: What the released version consists of.
        model: `name@version` of the release, written into every forecast.
        engines: Forecasters beside our own; each series has the one that foresaw its past best.

    Attributes:
        refused: Answers of engines that were none, by engine; our own stands in.
    """

    name: ClassVar[str] = "capacity"
    accepts: ClassVar[tuple[type, ...]] = (Samples,)

    def __init__(
        self,
        catalog: Catalog,
        config: CapacityConfig | None = None,
        *,
        model: str = "capacity@0",
        engines: Sequence[Engine] = (),
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        self.config = config or CapacityConfig()
        self._catalog, self._model, self._tenant = catalog, model, tenant
        self._index = RowIndex()
        self._watched: Int32s = np.empty(0, np.int32)  # by row of the index: place below, or NOT_WATCHED
        self._series: list[Series] = []
        self._limits: list[Limit] = []
        self._rings = (Ring(FINE_NS, FINE_STEPS), Ring(COARSE_NS, COARSE_STEPS))
        self._agreed: Counter[int] = Counter()
        self._open: dict[int, Forecast] = {}
        self._judged_ns = 0
        self._choice = Choice(engines)

    @property
    def refused(self) -> Counter[str]:
        """See the class."""
        return self._choice.refused

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Keep the samples of series that have a limit; makes nothing."""
        for item in items:
            if isinstance(item, Samples):
                self._take(item)
        return ()

    def _take(self, samples: Samples) -> None:
        sid, time_ns, value = samples.columns()
        rows = self._index.rows(sid)
        while len(self._watched) < len(self._index):
            self._meet()
        place = self._watched[rows]
        mine = place != _NOT_WATCHED
        if not mine.any():
            return
        order = np.argsort(time_ns[mine], kind="stable")
        place, time_ns, value = place[mine][order], time_ns[mine][order], value[mine][order]
        for ring in self._rings:
            ring.put(place, time_ns, value)

    def _meet(self) -> None:
        """Learn what the new sids are."""
        known = len(self._watched)
        new = self._index.sids[known:].tolist()
        places = np.full(len(new), _NOT_WATCHED, np.int32)
        for number, sid in enumerate(new):
            try:
                series = self._catalog.get(sid, tenant=self._tenant)
            except NotFound:
                continue
            if limit := limit_of(series):
                places[number] = len(self._series)
                self._series.append(series)
                self._limits.append(limit)
        self._watched = np.concatenate([self._watched, places])

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Judge every series with a limit, every `every_s` of event time."""
        if watermark_ns - self._judged_ns < int(self.config.every_s * SECOND_NS) or not self._series:
            return ()
        self._judged_ns = watermark_ns
        self._choice.begin(watermark_ns)
        made: list[object] = []
        rows = np.arange(len(self._series))
        fine, coarse = (ring.seen(rows) for ring in self._rings)
        slow = coarse >= 2 * LEAST  # four hours and more
        for ring, chosen, seen in ((self._rings[0], ~slow, fine), (self._rings[1], slow, coarse)):
            able = rows[chosen & (seen >= LEAST)]
            for low in range(0, len(able), 512):
                part = able[low : low + 512]
                made.extend(self._judge(ring, part, seen[part], watermark_ns))
        return made

    def _judge(self, ring: Ring, rows: Int64s, seen: Int64s, now_ns: int) -> Iterator[Forecast]:
        steps = int(max(seen.max(), LEAST))
        sign = np.array([1.0 if self._limits[row].rising else -1.0 for row in rows.tolist()])
        limit = np.array([self._limits[row].value for row in rows.tolist()])
        values = ring.values(rows, steps)
        scale = np.where(sign > 0, limit, np.nanmax(values, axis=1, initial=0.0))  # of what is left: the most seen
        top = np.where(sign > 0, limit * self.config.reached, scale * (1.0 - self.config.reached))
        step_s = ring.step_ns / SECOND_NS
        horizons = self._horizons(rows, seen.astype(np.float64) * step_s)
        asked = np.unique(horizons / step_s)
        found = fill(values * sign[:, None], top * sign, asked.tolist(), levels=_LEVELS, farthest=2 * asked[-1] + 1)
        column = np.searchsorted(asked, horizons / step_s)
        there = found.value >= top * sign - _ALMOST * np.abs(scale)
        for number, row in enumerate(rows.tolist()):
            if not self._choice.ask(row, values[number] * sign[number], float(top[number] * sign[number]), step_s):
                continue
            horizon_s = min(float(horizons[number]), self._choice.farthest(row) * step_s)
            chance = self._choice.chance(row, found, number, horizon_s / step_s)
            chance = float(found.within[number, column[number]]) if chance is None else chance
            if there[number]:
                found.eta_steps[number], chance = 0.0, 1.0
            told = self._tell(row, found, number, chance, horizon_s, step_s, now_ns)
            if told is not None:
                yield told

    def _horizons(self, rows: Int64s, seen_s: Floats) -> Floats:
        """How far ahead each series is judged: as far as its past supports, an open claim as far as it was made."""
        horizons = np.zeros(len(rows))
        for least_s, parts in _SUPPORT:
            horizons = np.where((horizons == 0.0) & (seen_s >= least_s), seen_s * parts, horizons)
        horizons = np.minimum(horizons, self.config.horizon_s)
        for number, row in enumerate(rows.tolist()):
            if row in self._open:
                horizons[number] = self._open[row].horizon_s
        return horizons

    def _tell(
        self, row: int, found: Fill, number: int, chance: float, horizon_s: float, step_s: float, now_ns: int
    ) -> Forecast | None:
        """What changed about one series: a new claim, its newer state, its end."""
        reached = bool(found.eta_steps[number, 0] == 0.0)
        opened = self._open.get(row)
        if opened is None:
            likely = chance >= self.config.open_at and not reached and np.isfinite(found.eta_steps[number, 1])
            self._agreed[row] = self._agreed[row] + 1 if likely else 0
            if self._agreed[row] < self.config.confirm:
                return None
        self._agreed.pop(row, None)
        now = self._claim(row, found, number, chance, horizon_s, step_s, now_ns, opened)
        if opened is None:
            self._open[row] = now
            return now
        late = now_ns > to_ns(opened.made) + int(opened.horizon_s * SECOND_NS)
        if reached or late or chance < self.config.close_at:
            ended = ForecastState.WITHDRAWN
            if reached or late:
                ended = ForecastState.HIT if reached else ForecastState.MISSED
            del self._open[row]
            return replace(now, state=ended, ended=to_datetime(now_ns))
        if now_ns - to_ns(opened.seen) < _TELL_NS and now.alerted == opened.alerted:
            return None
        self._open[row] = now
        return now

    def _claim(
        self,
        row: int,
        found: Fill,
        number: int,
        chance: float,
        horizon_s: float,
        step_s: float,
        now_ns: int,
        opened: Forecast | None,
    ) -> Forecast:
        series, limit = self._series[row], self._limits[row]
        early, eta, late = (
            to_datetime(now_ns + int(steps * step_s * SECOND_NS)) if np.isfinite(steps) else None
            for steps in found.eta_steps[number].tolist()
        )
        now = to_datetime(now_ns)
        sid = sid_text(series.sid)
        key = f"{self._tenant}|{self._model}|{sid}|{now_ns}"
        value = float(found.value[number]) * (1.0 if limit.rising else -1.0)
        alerted = opened.alerted if opened else None
        if alerted is None and eta is not None and (eta - now).total_seconds() <= self.config.lead_s:
            alerted = now
        return Forecast(
            id=opened.id if opened else hashlib.sha256(key.encode()).hexdigest()[:16],
            entity=series.entity,
            series=sid,
            metric=series.metric,
            unit=series.unit,
            labels_text=subject(series),
            limit=limit.value,
            value=value,
            made=opened.made if opened else now,
            seen=now,
            horizon_s=opened.horizon_s if opened else horizon_s,
            claimed=opened.claimed if opened else chance,
            probability=chance,
            eta=eta,
            early=early,
            late=late,
            alerted=alerted,
            model=self._model,
            engine=self._choice.engine_of(row),
            reason=reason(
                series,
                limit.rising,
                value,
                [steps * step_s for steps in found.eta_steps[number].tolist()],
                self.config.reached,
            ),
            tenant=self._tenant,
        )

    def snapshot(self) -> State:
        """Sids met, rings, open claims."""
        state: dict[str, npt.NDArray[np.generic] | bytes] = {
            "sids": self._index.sids.copy(),
            "watched": self._watched.copy(),
            "judged_ns": np.array([self._judged_ns], np.int64),
            "open": json.dumps([[row, encode(one)] for row, one in sorted(self._open.items())]).encode(),
            "agreed": json.dumps(sorted(self._agreed.items())).encode(),
            "choice": self._choice.snapshot(),
        }
        for name, ring in zip(("fine", "coarse"), self._rings, strict=True):
            state |= ring.snapshot(name)
        return state

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            self._index = RowIndex(np.array(state["sids"], np.int64))
            kept = np.array(state["watched"], np.int32).reshape(len(self._index))
            self._judged_ns = int(np.asarray(state["judged_ns"])[0])
            self._open = {row: decode(Forecast, text) for row, text in json.loads(bytes(state["open"]))}
            self._agreed = Counter(dict(json.loads(bytes(state["agreed"]))))
            if "choice" in state:
                self._choice.restore(bytes(state["choice"]))
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(
                f"state of the forecaster does not fit this version: {error!r}; replay the journal"
            ) from error
        for name, ring in zip(("fine", "coarse"), self._rings, strict=True):
            ring.restore(name, state)
        self._series, self._limits, self._watched = [], [], np.empty(0, np.int32)
        self._meet()
        if not (self._watched == kept).all():
            raise Corrupt("the series with a limit are not those of the state; replay the journal")

    def keep(self, mine: Mine) -> None:
        """See `flow.stage.Movable`."""
        self.restore(kept(self.snapshot(), mine.sids(self._index.sids)))
