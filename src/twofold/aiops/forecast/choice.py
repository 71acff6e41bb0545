"""Which forecaster answers for which series: the one that foresaw its own past best.

It is chosen anew when the past has doubled, and once a day at most. Asking one takes up to a second, so a judgement
asks few, in turn: a series that has another forecaster than ours is told less often.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.aiops.forecast.engines import Engine
from twofold.errors import InputError
from twofold.records.time import SECOND_NS
from twofold.stats.fill import Fill
from twofold.stats.paths import brier, reached

Floats = npt.NDArray[np.float64]

CALLS: Final = 2
"""Series that a judgement asks other forecasters about."""
CHOICES: Final = 1
"""Series that a judgement chooses one for: that asks each of them several times."""
BETTER: Final = 0.9
"""Another one must have been off by less than this share of what ours was."""
_EVERY_NS: Final = 86_400 * SECOND_NS
_AHEAD: Final = 6
_LEAST: Final = 4
_LEVELS: Final = (0.1, 0.5, 0.9)


@dataclass(slots=True)
class _Chosen:
    """Who answers, until when that stands, and when it was asked last."""

    name: str
    due_ns: int
    asked_ns: int


class Choice:
    """The forecaster of each series.

    Without engines it costs a comparison: everything is judged by the closed form.

    Attributes:
        refused: Answers that were none, by engine.
    """

    def __init__(self, engines: Sequence[Engine] = ()) -> None:
        self._engines = {engine.name: engine for engine in engines}
        self._chosen: dict[int, _Chosen] = {}
        self._paths: dict[int, tuple[Floats, float, float]] = {}
        self._now_ns = 0
        self._left = 0
        self._turn: set[int] = set()
        self.refused: Counter[str] = Counter()

    def begin(self, now_ns: int) -> None:
        """A judgement begins: those that waited longest have their turn."""
        self._now_ns, self._left = now_ns, CHOICES
        self._paths.clear()
        waiting = sorted((one.asked_ns, row) for row, one in self._chosen.items() if one.name in self._engines)
        self._turn = {row for _, row in waiting[:CALLS]}

    def engine_of(self, row: int) -> str:
        """Who answered for the series just now; empty for the closed form."""
        return self._chosen[row].name if row in self._paths else ""

    def ask(self, row: int, values: Floats, limit: float, step_s: float) -> bool:
        """Whether the series is judged now; asks its forecaster when that is another one and has its turn.

        Args:
            row: The series.
            values: The past, rising towards the limit; gaps are filled with what was before.
            limit: Reached from below.
            step_s: The step.
        """
        if not self._engines:
            return True
        known = self._chosen.get(row)
        past = np.empty(0)
        if (known is None or self._now_ns >= known.due_ns) and self._left > 0:
            self._left -= 1
            past = _whole(values)
            known = self._chosen[row] = self._choose(past, step_s)
            self._turn.add(row)
        engine = self._engines.get(known.name) if known else None
        if engine is None or known is None:
            return True
        if row not in self._turn:
            return False
        known.asked_ns = self._now_ns
        past = past if len(past) else _whole(values)
        try:
            self._paths[row] = (engine.paths(past, step_s, len(past) // 2), limit, float(past[-1]))
        except InputError:
            self.refused[engine.name] += 1
        return True

    def _choose(self, values: Floats, step_s: float) -> _Chosen:
        """The closed form, unless another one was clearly better on this series' past; anew when that has doubled."""
        ahead = max(len(values) // _AHEAD, _LEAST)
        best, least = "", brier(values, ahead) * BETTER
        for name, engine in self._engines.items():

            def foresee(past: Floats, steps: int, engine: Engine = engine) -> Floats:
                return engine.paths(past, step_s, steps)

            try:
                off = brier(values, ahead, foresee)
            except InputError:
                self.refused[name] += 1
                continue
            if off < least:
                best, least = name, off
        wait_ns = min(int(len(values) * step_s * SECOND_NS), _EVERY_NS)
        return _Chosen(best, self._now_ns + wait_ns, 0)

    def farthest(self, row: int) -> float:
        """Steps ahead that the series' own forecaster was asked for; infinite where the closed form answers."""
        told = self._paths.get(row)
        return float("inf") if told is None else float(told[0].shape[1])

    def chance(self, row: int, found: Fill, number: int, steps: float) -> float | None:
        """The chance within so many steps by the series' own forecaster, whose times replace those of the closed form.

        None where the closed form answers.
        """
        told = self._paths.get(row)
        if told is None:
            return None
        paths, limit, now = told
        chance = reached(paths, limit)
        eta = np.full(len(_LEVELS), np.inf)
        for place, wanted in enumerate(_LEVELS):
            if (chance >= wanted).any():
                eta[place] = float((chance >= wanted).argmax() + 1)
        found.eta_steps[number] = 0.0 if now >= limit else eta
        return 1.0 if now >= limit else float(chance[min(max(int(steps), 1), len(chance)) - 1])

    def snapshot(self) -> bytes:
        """Who was chosen for whom, and when."""
        rows = [[row, one.name, one.due_ns, one.asked_ns] for row, one in sorted(self._chosen.items())]
        return json.dumps(rows).encode()

    def restore(self, state: bytes) -> None:
        """Take back what `snapshot` gave. Raises `ValueError`, `TypeError` for other bytes."""
        self._chosen = {
            int(row): _Chosen(str(name), int(due_ns), int(asked_ns))
            for row, name, due_ns, asked_ns in json.loads(state)
        }


def _whole(values: Floats) -> Floats:
    """The past without gaps: each is filled with the value before it, those at the beginning are left out."""
    known = np.isfinite(values)
    if not known.any():
        return values[:0]
    first = int(known.argmax())
    place = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))[first:]
    whole: Floats = values[place]
    return whole
