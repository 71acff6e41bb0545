"""How often each operation makes each call, hour by hour, and whether that has just changed.

A sequential test per (operation, callee) over requests that did not fail: the log-likelihood ratio of a call that is
made a fifth as often (or five times as often) as in those minutes of the last day in which it was made least (or
most). It needs more requests the rarer a call was, and a call whose frequency varies from window to window by more
than chance counts for less. So optional and cached calls, and services that few people use, are slow to convict.

Source: Page (1954), "Continuous inspection schemes"; bounds of a share after Wilson (1927).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.errors import ConfigError, Corrupt
from twofold.flow.stage import State
from twofold.records.time import SECOND_NS

HOURS: Final = 24
DOWN, UP = 0, 1
_Z: Final = 2.0  # of the bounds of a share
_FOLD: Final = 5.0  # times more or less often
_RECOVERED: Final = 5.0  # log-likelihood ratio for the old habit that closes
_HOUR_NS: Final = 3600 * SECOND_NS
_RARE: Final = 1e-4
_ENOUGH: Final = 20  # requests that speak for themselves
_DIPS: Final = 2
_VARIANCE_RATE: Final = 0.01  # of a window's weight in how much a call varies

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class HabitConfig:
    """When a change of calls is told.

    Attributes:
        threshold: Log-likelihood ratio that convicts; e^17 windows are 1,400 days.
        least_requests, least_s: An operation must be known so well before its calls are judged.
        least_share: A call made less often is not missed.
        new_share: A call is told as new when it is made by at least this share of requests.
        settle_s: What was seen becomes habit after this time, unless it is under suspicion.
        readmit_s: A change that lasts this long is the new habit.
        max_calls: Calls told apart; further ones are counted in `refused`.
    """

    threshold: float = 17.0
    least_requests: int = 200
    least_s: float = 600.0
    least_share: float = 0.05
    new_share: float = 0.05
    settle_s: float = 300.0
    readmit_s: float = 1800.0
    max_calls: int = 20_000

    def __post_init__(self) -> None:
        if min(self.threshold, self.least_requests, self.least_s, self.settle_s, self.readmit_s, self.max_calls) <= 0:
            raise ConfigError(f"every setting of the habits must be above 0: {self}")
        if not 0 < self.least_share < 1 or not 0 < self.new_share < 1:
            raise ConfigError(f"least_share {self.least_share} and new_share {self.new_share} must be between 0 and 1")


@dataclass(frozen=True, slots=True)
class Change:
    """A habit that changed, or came back.

    Attributes:
        group, callee: Numbers of the operation and of who is called.
        side: `DOWN` or `UP`.
        share, usual: Share of requests that make the call, since then and before.
        requests: Since then.
        evidence: The log-likelihood ratio.
        ended: Empty while it lasts; else why it is over: `back` or `habit`.
    """

    group: int
    callee: int
    side: int
    onset_ns: int
    share: float
    usual: float
    requests: int
    evidence: float
    ended: str = ""


class Habits:
    """Counts requests and their calls, and gives the changes. Bounded: see `HabitConfig.max_calls`.

    Attributes:
        refused: Calls not told apart.
    """

    def __init__(self, config: HabitConfig) -> None:
        self._config = config
        self._index: dict[tuple[int, int], int] = {}
        self.keys: list[tuple[int, int]] = []
        self._of: dict[int, list[int]] = {}
        self._rows: npt.NDArray[np.void] = np.zeros(64, _ROW)
        self._groups: npt.NDArray[np.void] = np.zeros(64, _GROUP)
        self.refused = 0

    def close(
        self, requests: dict[int, int], made: dict[tuple[int, int], int], excused: set[tuple[int, int]], end_ns: int
    ) -> list[Change]:
        """Judge a window, then learn it.

        Args:
            requests: Of each operation that had any.
            made: Of them, how many made the call.
            excused: Calls that may have been made though they are not among `made`.
            end_ns: End of the window.
        """
        for group, callee in made:
            self._row(group, callee)
        at, n, k, held = [], [], [], []
        for group, count in requests.items():
            self._count(group, count, end_ns)
            for row in self._of.get(group, ()):
                at.append(row)
                n.append(count)
                k.append(made.get(self.keys[row], 0))
                held.append(self.keys[row] in excused)
        if not at:
            return []
        rows = np.array(at)
        return self._judge(rows, np.array(n, float), np.array(k, float), np.array(held), end_ns)

    def _row(self, group: int, callee: int) -> None:
        if (group, callee) in self._index:
            return
        if len(self.keys) >= self._config.max_calls:
            self.refused += 1
            return
        row = self._index[group, callee] = len(self.keys)
        self.keys.append((group, callee))
        self._of.setdefault(group, []).append(row)
        if row >= len(self._rows):
            self._rows = np.concatenate([self._rows, np.zeros(len(self._rows), _ROW)])
        if group < len(self._groups):
            known, mine = self._groups[group], self._rows[row]
            mine["first_ns"], mine["hours_n"] = known["first_ns"], known["hours_n"]
            mine["fresh_ns"], mine["hour"] = known["seen_ns"], known["seen_ns"] // _HOUR_NS
        self._rows[row]["spread"] = 1.0
        self._rows[row]["hours_low"], self._rows[row]["hours_high"] = 1.0, 0.0

    def _count(self, group: int, count: int, end_ns: int) -> None:
        """Requests of an operation, for calls that are seen for the first time later."""
        while group >= len(self._groups):
            self._groups = np.concatenate([self._groups, np.zeros(len(self._groups), _GROUP)])
        known = self._groups[group]
        hour = end_ns // _HOUR_NS
        known["first_ns"] = known["first_ns"] or end_ns
        if hour != known["seen_ns"] // _HOUR_NS:
            known["hours_n"][hour % HOURS] = 0
        known["hours_n"][hour % HOURS] += count
        known["seen_ns"] = end_ns

    def _judge(self, at: Int64s, n: Floats, k: Floats, excused: npt.NDArray[np.bool_], end_ns: int) -> list[Change]:
        rows = self._rows[at]
        new = rows["first_ns"] == 0
        rows["first_ns"][new], rows["fresh_ns"][new] = end_ns, end_ns
        low, high = _bounds(rows)
        usual = np.stack([low, high], 1)
        other = np.stack([low / _FOLD, np.clip(high * _FOLD, self._config.new_share, 0.95)], 1)
        ratio = _evidence(n, k, usual, other) / rows["spread"][:, None]
        old = end_ns - rows["first_ns"] >= int(self._config.least_s * SECOND_NS)
        known = old & (rows["hours_n"].sum(axis=1) >= self._config.least_requests)
        watched = np.stack([low >= self._config.least_share, high < self._config.new_share], 1) & known[:, None]
        watched[excused, DOWN] = False
        self._gather(rows, np.where(watched, ratio, 0.0), n, k, end_ns)
        back = np.take_along_axis(-ratio, rows["side"][:, None].astype(np.int64), 1)[:, 0]
        rows["back"] = np.where(rows["onset_ns"] == 0, 0.0, np.maximum(rows["back"] + back, 0.0))
        self._rows[at] = rows
        turns = at[(rows["onset_ns"] != 0) | (rows["evidence"].max(axis=1) >= self._config.threshold)]
        changes = [each for row in turns.tolist() if (each := self._turn(row, end_ns)) is not None]
        self._learn(at, n, k, end_ns)
        return changes

    def _gather(self, rows: npt.NDArray[np.void], ratio: Floats, n: Floats, k: Floats, end_ns: int) -> None:
        """Add up the evidence of calls that are not told as changed, and count since it began."""
        quiet = (rows["onset_ns"] == 0)[:, None]
        grown = np.where(quiet, np.maximum(rows["evidence"] + ratio, 0.0), rows["evidence"])
        begins = (grown > 0) & (rows["evidence"] == 0)
        rows["since_ns"] = np.where(begins, end_ns, rows["since_ns"])
        for name, count in (("since_n", n), ("since_k", k)):
            rows[name] = np.where(begins, 0, rows[name]) + np.where(grown > 0, count[:, None], 0)
        rows["evidence"] = grown

    def _turn(self, row: int, end_ns: int) -> Change | None:
        """What begins or ends at a row."""
        r = self._rows[row]
        if r["onset_ns"]:
            lasts_ns = end_ns - int(r["onset_ns"])
            ended = "back" if r["back"] >= _RECOVERED else ""
            if not ended and lasts_ns >= int(self._config.readmit_s * SECOND_NS):
                ended = "habit"
                r["hours_n"], r["hours_k"], r["first_ns"] = 0, 0, end_ns
                r["hours_low"], r["hours_high"] = 1.0, 0.0
            if not ended:
                return None
            change = self._change(row, int(r["side"]), float(r["usual"]), ended)
            if ended == "back":
                self._remember(r, change.share)
            for name in ("onset_ns", "evidence", "back", "since_n", "since_k", "fresh_n", "fresh_k"):
                r[name] = 0
            return change
        side = int(np.argmax(r["evidence"]))
        if r["evidence"][side] < self._config.threshold:
            return None
        share = r["since_k"][side] / max(r["since_n"][side], 1)
        if side == UP and share < self._config.new_share:
            return None
        r["onset_ns"], r["side"], r["back"] = r["since_ns"][side], side, 0.0
        r["usual"] = float(r["hours_k"].sum() / max(r["hours_n"].sum(), 1))
        return self._change(row, side, float(r["usual"]), "")

    def _remember(self, r: Any, share: float) -> None:
        """What comes and goes is told twice; then it is a habit of that day."""
        r["dips"] += 1
        if r["dips"] >= _DIPS:
            slot = int(r["hour"]) % HOURS
            r["hours_low"][slot] = min(float(r["hours_low"][slot]), share)
            r["hours_high"][slot] = max(float(r["hours_high"][slot]), share)

    def _change(self, row: int, side: int, usual: float, ended: str) -> Change:
        r = self._rows[row]
        group, callee = self.keys[row]
        requests = int(r["since_n"][side])
        share = float(r["since_k"][side]) / max(requests, 1)
        return Change(
            group, callee, side, int(r["onset_ns"]), share, usual, requests, float(r["evidence"][side]), ended
        )

    def _learn(self, at: Int64s, n: Floats, k: Floats, end_ns: int) -> None:
        """Collect what is not under suspicion; after a while it is habit."""
        rows = self._rows[at]
        calm = (rows["onset_ns"] == 0) & (rows["evidence"].max(axis=1) < self._config.threshold / 2)
        total = np.maximum(rows["hours_n"].sum(axis=1), 1)
        p = np.clip(rows["hours_k"].sum(axis=1) / total, _RARE, 1 - _RARE)
        chi = (k - n * p) ** 2 / (n * p * (1 - p))
        judged = calm & (total >= self._config.least_requests)
        varies = rows["spread"] + _VARIANCE_RATE * (np.minimum(chi, 100.0) - rows["spread"])
        rows["spread"] = np.where(judged, np.maximum(varies, 1.0), rows["spread"])
        rows["fresh_n"] += np.where(calm, n, 0)
        rows["fresh_k"] += np.where(calm, k, 0)
        age_ns = end_ns - rows["fresh_ns"]
        enough = (rows["fresh_n"] >= _ENOUGH) & (age_ns >= int(self._config.settle_s * SECOND_NS))
        self._fold(rows, enough | (age_ns >= _HOUR_NS), end_ns)
        self._rows[at] = rows

    def _fold(self, rows: npt.NDArray[np.void], due: npt.NDArray[np.bool_], end_ns: int) -> None:
        """What was collected becomes part of its hour."""
        hour = end_ns // _HOUR_NS
        slot = hour % HOURS
        turned = due & (rows["hour"] != hour)
        share = rows["fresh_k"] / np.maximum(rows["fresh_n"], 1.0)
        telling = due & (rows["fresh_n"] >= _ENOUGH)
        for name, empty in (("hours_n", 0.0), ("hours_k", 0.0), ("hours_low", 1.0), ("hours_high", 0.0)):
            rows[name][turned, slot] = empty
        rows["hours_low"][telling, slot] = np.minimum(rows["hours_low"][telling, slot], share[telling])
        rows["hours_high"][telling, slot] = np.maximum(rows["hours_high"][telling, slot], share[telling])
        for hours, fresh in (("hours_n", "fresh_n"), ("hours_k", "fresh_k")):
            rows[hours][due, slot] += rows[fresh][due]
            rows[fresh][due] = 0
        rows["hour"][due] = hour
        rows["fresh_ns"][due] = end_ns

    def snapshot(self) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """All of it."""
        return {
            "habits": json.dumps({"keys": self.keys, "refused": self.refused}).encode(),
            "habits_rows": np.frombuffer(self._rows[: len(self.keys)].tobytes(), np.uint8).copy(),
            "habits_groups": np.frombuffer(self._groups.tobytes(), np.uint8).copy(),
        }

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            known = json.loads(bytes(state["habits"]))
            keys = [(int(group), int(callee)) for group, callee in known["keys"]]
            refused = int(known["refused"])
            rows, groups = (
                np.frombuffer(np.asarray(state[name], np.uint8).tobytes(), kind).copy()
                for name, kind in (("habits_rows", _ROW), ("habits_groups", _GROUP))
            )
            if len(rows) != len(keys):
                raise Corrupt(f"{len(rows)} rows of {len(keys)} calls; replay the journal")
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"habits of calls do not fit this version: {error!r}; replay the journal") from error
        self.keys, self.refused = keys, refused
        self._index = {key: row for row, key in enumerate(keys)}
        self._of = {}
        for row, (group, _) in enumerate(keys):
            self._of.setdefault(group, []).append(row)
        self._rows = np.concatenate([rows, np.zeros(max(64, len(rows)), _ROW)])
        self._groups = groups if len(groups) else np.zeros(64, _GROUP)

    def unlearn(self, callees: npt.NDArray[np.bool_]) -> None:
        """Learn calls of these callees anew, but for those that are told as changed: they end by themselves."""
        named = np.array([bool(callee < len(callees) and callees[callee]) for _, callee in self.keys], np.bool_)
        rows = self._rows[: len(self.keys)]
        anew = named & (rows["onset_ns"] == 0)
        fresh = np.zeros(1, _ROW)
        fresh["spread"], fresh["hours_low"] = 1.0, 1.0
        rows[anew] = fresh


_ROW: Final = np.dtype(
    [
        ("first_ns", np.int64),
        ("fresh_ns", np.int64),  # start of what is not habit yet
        ("fresh_n", np.float64),
        ("fresh_k", np.float64),
        ("hour", np.int64),
        ("hours_n", np.float64, HOURS),
        ("hours_k", np.float64, HOURS),
        ("hours_low", np.float64, HOURS),  # least and greatest share of what was folded in that hour
        ("hours_high", np.float64, HOURS),
        ("dips", np.int64),  # changes that were told and went back
        ("spread", np.float64),  # variance between windows as a multiple of chance
        ("evidence", np.float64, 2),
        ("since_ns", np.int64, 2),
        ("since_n", np.float64, 2),
        ("since_k", np.float64, 2),
        ("onset_ns", np.int64),  # of a change that is told; else 0
        ("side", np.int8),
        ("usual", np.float64),
        ("back", np.float64),
    ]
)
_GROUP: Final = np.dtype([("first_ns", np.int64), ("seen_ns", np.int64), ("hours_n", np.float64, HOURS)])


def wilson(k: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Bounds of a share of k among n.

    >>> [round(float(each[0]), 3) for each in wilson(np.array([0.0]), np.array([200.0]))]
    [0.0, 0.02]
    """
    n = np.maximum(n, 1e-9)
    p = k / n
    centre = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(np.maximum(p * (1 - p) / n + _Z**2 / (4 * n**2), 0.0))
    return np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)


def _bounds(rows: npt.NDArray[np.void]) -> tuple[Floats, Floats]:
    """The least and the greatest share that was habit for some minutes."""
    low, high = wilson(rows["hours_k"].sum(axis=1), rows["hours_n"].sum(axis=1))
    low = np.minimum(low, rows["hours_low"].min(axis=1))
    high = np.maximum(high, rows["hours_high"].max(axis=1))
    return low, high


def _evidence(n: Floats, k: Floats, usual: Floats, other: Floats) -> Floats:
    """Log-likelihood ratio of k among n for another share over the usual one, shape of `usual`."""
    p, q = np.clip(usual, _RARE, 1 - _RARE), np.clip(other, _RARE, 1 - _RARE)
    found: Floats = k[:, None] * np.log(q / p) + (n - k)[:, None] * np.log((1 - q) / (1 - p))
    return found
