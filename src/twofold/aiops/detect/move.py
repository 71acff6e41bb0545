"""What is left of a detector's state when some of its series go to another partition.

Beside the panel and the joint detector, over the state that they write to checkpoints. Rows are moved as they are, as
arrays; only what names a row by its number is written anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.flow.stage import State
from twofold.stats.joint.layout import NONE, PAIR, TOGETHER

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]
GONE: Final = -1


def numbers(keep: Bools) -> Int64s:
    """New number of each row, `GONE` for those that are not kept.

    >>> numbers(np.array([True, False, True])).tolist()
    [0, -1, 1]
    """
    return np.where(keep, np.cumsum(keep) - 1, GONE)


def panel_of(state: State, keep: Bools, row_type: npt.DTypeLike) -> State:
    """The state of a panel with these rows only, and with their entities.

    A row whose donor goes elsewhere has none any more: it matters in the first samples of a series alone.
    """
    new = numbers(keep)
    rows = np.ascontiguousarray(np.asarray(state["rows"])[keep])
    table: npt.NDArray[Any] = rows.view(row_type).reshape(len(rows))
    table["donor"] = np.concatenate([[0], new + 1])[table["donor"]]
    entity = np.asarray(state["entity"])[keep]
    known, silences = (json.loads(bytes(state[name])) for name in ("panel", "absence"))
    unheard = [one for one in known["unheard"] if keep[one[0]]]
    used = np.append(entity, np.array([number for *_, number in unheard], entity.dtype))
    named = np.isin(np.arange(used.max(initial=-1) + 1), used)
    place = numbers(named)
    known["unheard"] = [[int(new[row]), last_ns, int(place[number])] for row, last_ns, number in unheard]
    known["entities"] = [name for name, kept in zip(known["entities"], named.tolist(), strict=False) if kept]
    known["told"] = [[int(new[row]), *rest] for row, *rest in known["told"] if keep[row]]
    known["lasting"] = [one | {"row": int(new[one["row"]])} for one in known["lasting"] if keep[one["row"]]]
    silences["open"] = [
        one | {"row": int(new[one["row"]]), "entity": int(place[one["entity"]])}
        for one in silences["open"]
        if keep[one["row"]]
    ]
    return {
        **state,
        "rows": rows,
        "sids": np.asarray(state["sids"])[keep],
        "entity": np.where(entity < 0, entity, np.append(place, GONE)[entity]).astype(np.int32),
        "panel": json.dumps(known).encode(),
        "absence": json.dumps(silences).encode(),
    }


def joint_of(state: State, keep: Bools, mine: Callable[[str], bool]) -> State:
    """The state of the joint detector with these rows only. Entities stay known, those elsewhere without series."""
    new = numbers(keep)
    known = json.loads(bytes(state["joint"]))
    known["told"] = [
        [kind, n if kind == TOGETHER else int(new[n]), finding]
        for kind, n, finding in known["told"]
        if (mine(known["names"][n]) if kind == TOGETHER else keep[n])
    ]
    held = np.asarray(state["held_at"])
    stays = keep[held]
    return {
        **state,
        "series": np.asarray(state["series"])[keep],
        "pairs": _pairs(np.asarray(state["pairs"]), keep, new),
        "sids": np.asarray(state["sids"])[keep],
        "held_at": new[held[stays]].astype(np.int32),
        "held_time_ns": np.asarray(state["held_time_ns"])[stays],
        "held_value": np.asarray(state["held_value"])[stays],
        "joint": json.dumps(known).encode(),
    }


def _pairs(data: npt.NDArray[Any], keep: Bools, new: Int64s) -> npt.NDArray[Any]:
    """Pairs by their new rows; a partner that goes elsewhere is none."""
    if not len(data):
        return data
    rows = np.ascontiguousarray(data[keep])
    pairs = rows.view(PAIR).reshape(len(rows))
    partner = np.append(new, NONE)[pairs["partner"]]
    lost = partner != pairs["partner"]
    lost &= partner == NONE
    pairs["partner"] = partner
    pairs["shared"][lost], pairs["met"][lost] = 0.0, 0
    return rows
