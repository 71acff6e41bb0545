"""Series that stop: one finding for an entity that fell silent, not one for each of its series."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.detect.config import PanelConfig
from twofold.errors import Corrupt
from twofold.flow.stage import State
from twofold.records.time import SECOND_NS
from twofold.stats.series.quiet import listen

CHECK_NS: Final = 5 * SECOND_NS
MOST: Final = 0.5  # when more of the entities than this are silent together, the way to us is broken, not they
GONE_AFTER: Final = 12  # times `readmit_s`


@dataclass(slots=True)
class Silence:
    """An entity, or some series of it, that is missed.

    Attributes:
        row: The row it is told of: the entity's quickest regular series.
        onset_ns: Time of the newest sample.
        period_s: How often it came.
        series: How many series are silent.
        whole: All received series of the entity are.
    """

    entity: int
    row: int
    onset_ns: int
    period_s: float
    series: int
    whole: bool


class Absence:
    """Watches the newest sample of each received series against the watermark.

    An entity is missed when each of its series is silent for `silent_s` and `silent_periods` of its
    period. A single series, while the rest of the entity goes on, is missed only after `series_silent_s`:
    series come and go with the containers they describe. Derived series are left out: their stages
    know when there is nothing to say.

    Event time must go on while nothing comes: live by the receivers' clock, in a backtest by `joints.ticks`. A
    backfill has no clock, for old history is sent in lumps and a hole in it is as likely the export's: there a
    silence is told only between samples of others that come within `resume_s`, and what it opens never pages.
    """

    def __init__(self, config: PanelConfig) -> None:
        self._config = config
        self._open: dict[int, Silence] = {}
        self._watermark_ns = 0
        self._resumed_ns = 0
        self._checked_ns = 0

    def check(
        self, rows: npt.NDArray[Any], entity: npt.NDArray[np.int32], watermark_ns: int
    ) -> Iterator[tuple[bool, Silence]]:
        """Silences that begin (True) or end (False).

        Args:
            rows: Rows of the panel.
            entity: Number of the entity of each row, `NOT_WATCHED` for derived series.
            watermark_ns: Event time that is complete.
        """
        if watermark_ns - self._watermark_ns > int(self._config.resume_s * SECOND_NS):
            self._resumed_ns = watermark_ns  # we were away, or have just begun: nobody could be heard
        self._watermark_ns = watermark_ns
        if watermark_ns - self._checked_ns < CHECK_NS or not len(rows):
            return
        self._checked_ns = watermark_ns
        yield from self._compare(rows, entity, watermark_ns)

    def _compare(
        self, rows: npt.NDArray[Any], entity: npt.NDArray[np.int32], watermark_ns: int
    ) -> Iterator[tuple[bool, Silence]]:
        config = self._config
        limits = (float(config.silent_s), float(config.silent_periods), float(config.series_silent_s))
        regular, lost = np.zeros(len(rows), np.bool_), np.zeros(len(rows), np.bool_)
        known, alive = (np.zeros(int(entity.max()) + 1, np.bool_) for _ in range(2))
        listen(rows, entity, watermark_ns, self._resumed_ns, limits, (regular, lost, known, alive))
        silent = known & ~alive
        partly = np.zeros(len(known), np.bool_)
        partly[entity[lost]] = True
        partly &= alive
        before = set(self._open)
        yield from self._end(rows, entity, silent | partly, watermark_ns)
        ended = list(before - self._open.keys())
        silent[ended], partly[ended] = False, False  # who is given up is not missed again in the same breath
        if silent.sum() <= MOST * known.sum():
            yield from self._begin(rows, entity, np.flatnonzero(silent), regular, whole=True)
        yield from self._begin(rows, entity, np.flatnonzero(partly), lost, whole=False)

    def _end(
        self, rows: npt.NDArray[Any], entity: npt.NDArray[np.int32], missed: npt.NDArray[np.bool_], watermark_ns: int
    ) -> Iterator[tuple[bool, Silence]]:
        for number, silence in sorted(self._open.items()):
            patience_s = self._config.readmit_s * (GONE_AFTER if silence.whole else 1)
            gone = watermark_ns - silence.onset_ns > int((patience_s + self._config.series_silent_s) * SECOND_NS)
            if not missed[number] or gone:
                del self._open[number]
                yield False, silence
            if gone:
                mine = entity == number
                rows["count"][mine & (rows["last_ns"] <= silence.onset_ns)] = 0

    def _begin(
        self,
        rows: npt.NDArray[Any],
        entity: npt.NDArray[np.int32],
        numbers: npt.NDArray[np.int64],
        among: npt.NDArray[np.bool_],
        *,
        whole: bool,
    ) -> Iterator[tuple[bool, Silence]]:
        for number in numbers.tolist():
            if number in self._open:
                continue
            mine = np.flatnonzero(among & (entity == number))
            row = int(mine[np.argmin(rows["period_s"][mine])])
            silence = Silence(
                entity=number,
                row=row,
                onset_ns=int(rows["last_ns"][mine].max()),
                period_s=float(rows["period_s"][row]),
                series=len(mine),
                whole=whole,
            )
            self._open[number] = silence
            yield True, silence

    def snapshot(self) -> bytes:
        """Open silences and times, as JSON."""
        times = [self._watermark_ns, self._resumed_ns, self._checked_ns]
        return json.dumps({"times": times, "open": [asdict(each) for each in self._open.values()]}).encode()

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave, under `absence`. Raises `Corrupt`."""
        try:
            found = json.loads(bytes(state["absence"]))
            silences = [Silence(**each) for each in found["open"]]
            self._watermark_ns, self._resumed_ns, self._checked_ns = (int(t) for t in found["times"])
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"silences do not fit this version: {error!r}; replay the journal") from error
        self._open = {each.entity: each for each in silences}
