"""Error ratios of groups that see few requests: over the last requests rather than over the last seconds.

Three requests in a window give 0, .33, .67 or 1, and say next to nothing; the last sixty-three tell a third that
fails from two stray errors, after as many as it takes for three to fail. Beside them a shorter memory decides when
it is over, as in the multi-window alerts of the SRE workbook (chapter 5): both must be high.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from twofold.errors import Corrupt
from twofold.flow.stage import State

Int64s = npt.NDArray[np.int64]

LONG: Final = 63  # two failed requests of them stay below the floor of what matters, .033 (see `floors`)
SHORT: Final = 12  # a fault that fails a third of the requests leaves as many clean with probability .008
_LONG: Final = np.uint64((1 << LONG) - 1)
_SHORT: Final = np.uint64((1 << SHORT) - 1)


class Recent:
    """The outcomes of each group's last requests, a bit each, the newest lowest.

    >>> recent = Recent()
    >>> recent.ratios(np.array([0, 0, 1]), np.array([False, True, True]), np.array([2, 1])).round(3).tolist()
    [0.5, 1.0]
    """

    def __init__(self) -> None:
        self._failed: npt.NDArray[np.uint64] = np.zeros(0, np.uint64)
        self._seen: npt.NDArray[np.uint8] = np.zeros(0, np.uint8)  # of each group, up to `LONG`

    def ratios(self, group: Int64s, error: npt.NDArray[np.bool_], count: Int64s) -> npt.NDArray[np.float64]:
        """Take a window's requests and give every group's ratio.

        Args:
            group: Group of each request, shape (requests,), ascending, and in the order of time within a group.
            error: Whether it failed, same shape.
            count: Requests of each group in the window, shape (groups,).

        Returns:
            Shape (groups,): failed share of the window's requests where they are `LONG` or more; else of the last
            `LONG`, or of the last `SHORT` where that is lower. Where the window has none, the ratio as it stands.
        """
        groups = len(count)
        if groups > len(self._failed):
            more = groups - len(self._failed)
            self._failed = np.concatenate([self._failed, np.zeros(more, np.uint64)])
            self._seen = np.concatenate([self._seen, np.zeros(more, np.uint8)])
        failures = np.bincount(group, weights=error, minlength=groups)
        newer = (np.cumsum(count)[group] - 1) - np.arange(len(group))  # requests of the group after this one
        kept = newer < LONG
        bits = np.bincount(group[kept], weights=error[kept] * np.exp2(newer[kept]), minlength=groups).astype(np.uint64)
        shift = np.minimum(count, LONG).astype(np.uint64)
        failed = ((self._failed[:groups] << shift) | bits) & _LONG
        self._failed[:groups] = failed
        seen = np.minimum(self._seen[:groups] + count, LONG)
        self._seen[:groups] = seen
        few = np.minimum(
            np.bitwise_count(failed) / np.maximum(seen, 1),
            np.bitwise_count(failed & _SHORT) / np.clip(seen, 1, SHORT),
        )
        return np.where(count >= LONG, failures / np.maximum(count, 1), few)

    def snapshot(self) -> dict[str, npt.NDArray[np.generic] | bytes]:
        """The outcomes, and how many there are."""
        return {"recent_failed": self._failed.copy(), "recent_seen": self._seen.copy()}

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt`."""
        try:
            self._failed = np.array(state["recent_failed"], np.uint64).reshape(-1)
            self._seen = np.array(state["recent_seen"], np.uint8).reshape(len(self._failed))
        except (KeyError, TypeError, ValueError) as error:
            raise Corrupt(f"outcomes of requests do not fit this version: {error!r}; replay the journal") from error
