"""Who was heard lately: one pass over all rows of a panel, which are far apart in memory."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.stats.jit import kernel
from twofold.stats.series.layout import NS

REGULAR_POINTS: Final = 20
NOT_WATCHED: Final = -1

Bools = npt.NDArray[np.bool_]


@kernel
def listen(
    rows: Any,
    entity: npt.NDArray[np.int32],
    now_ns: int,
    resumed_ns: int,
    limits: tuple[float, float, float],
    found: tuple[Bools, Bools, Bools, Bools],
) -> None:  # pragma: no cover - compiled
    """Say which rows are regular and which of these are lost, which entities have regular rows and which a live one.

    Args:
        rows: Rows of the panel.
        entity: Number of the entity of each row, `NOT_WATCHED` for none.
        now_ns: Event time that is complete.
        resumed_ns: Nobody could be heard before.
        limits: Seconds that a row may be silent at least, so many of its periods, and seconds after which it is lost.
        found: Out, zeroed: regular and lost by row, known and alive by entity.
    """
    silent_s, periods, lost_s = limits
    regular, lost, known, alive = found
    for i in range(len(rows)):
        number = entity[i]
        if number == NOT_WATCHED:
            continue
        last_ns = rows[i].last_ns
        quiet_s = (now_ns - max(last_ns, resumed_ns)) * NS
        if quiet_s <= max(silent_s, periods * rows[i].period_s):
            alive[number] = True
        if rows[i].count >= REGULAR_POINTS:
            regular[i] = True
            known[number] = True
            lost[i] = quiet_s > lost_s and (last_ns - rows[i].first_ns) * NS >= lost_s
