"""What is left of the forecaster's state when some of its series go to another partition."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt

from twofold.flow.stage import State


def kept(state: State, keep: npt.NDArray[np.bool_]) -> State:
    """The state with these sids only: places of series that are watched are given anew, in the same order."""
    watched = np.asarray(state["watched"])
    places = watched[keep & (watched >= 0)]
    place = {int(old): new for new, old in enumerate(places.tolist())}
    left = watched[keep]
    found: dict[str, npt.NDArray[np.generic] | bytes] = {
        **state,
        "sids": np.asarray(state["sids"])[keep],
        "watched": np.where(left >= 0, np.cumsum(left >= 0) - 1, left).astype(np.int32),
    }
    for name in ("open", "agreed", "choice"):
        rows: list[list[Any]] = json.loads(bytes(state[name]))
        found[name] = json.dumps([[place[row], *rest] for row, *rest in rows if row in place]).encode()
    for ring in ("fine", "coarse"):
        for name in ("kept", "zero", "seen"):
            values = np.asarray(state[f"{ring}_{name}"])
            found[f"{ring}_{name}"] = values[places[places < len(values)]]
    return found
