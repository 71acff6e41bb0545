"""The one contract of every stage between the journal and the ledger.

A stage takes items of the types it accepts and gives back new items; it never calls another
stage. It knows event time and the partition's watermark only, never the wall clock, so live,
replay and backtest are the same code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

State = Mapping[str, "npt.NDArray[np.generic] | bytes"]


@runtime_checkable
class Stage(Protocol):
    """One step of a pipeline over one partition and lane.

    Attributes:
        name: Unique in the pipeline; names its checkpoint.
        accepts: Item types handed to `process`; subclasses match.
    """

    name: ClassVar[str]
    accepts: ClassVar[tuple[type, ...]]

    def process(self, items: Sequence[object]) -> Sequence[object]:
        """Take items in order; return new ones, with deterministic ids. Inputs are never changed."""
        ...

    def advance(self, watermark_ns: int) -> Sequence[object]:
        """Event time is complete up to the watermark: fire timers, close windows. Never goes back."""
        ...

    def snapshot(self) -> State:
        """Everything needed to go on after a restart, as arrays and bytes (JSON, never pickle)."""
        ...

    def restore(self, state: State) -> None:
        """Take back what `snapshot` gave. Raises `Corrupt` when it does not fit this version."""
        ...


class Mine(Protocol):
    """What belongs to one partition, of one tenant."""

    @property
    def first(self) -> bool:
        """Whether it is the partition in which everything comes together."""
        ...

    def entity(self, name: str) -> bool:
        """Whether what is known of this entity belongs to it."""
        ...

    def sids(self, sids: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of these series belong to it."""
        ...


@runtime_checkable
class Movable(Protocol):
    """A stage that holds what belongs to series or entities, and so to the partition that these are in.

    When a partition is split, both halves begin with the whole state and keep their own part of it. A stage that is not
    movable holds what every partition may know, or runs in the first one only.
    """

    def keep(self, mine: Mine) -> None:
        """Forget what is another partition's, so that what is left goes on as if it had always been alone.

        Called after `restore`, maybe more than once with the same state.
        """
        ...


@runtime_checkable
class Adopts(Protocol):
    """A stage that can take over what a backfill has learnt of some things, and keep what it knows of all others."""

    def covered_by(self, older: State) -> float:
        """Share of what it knows that is known in that state, too; 1 when it knows nothing."""
        ...

    def adopt(self, older: State) -> None:
        """Take from that state what is not known here, or known for less long. What does not fit is left."""
        ...


@runtime_checkable
class Seeded(Protocol):
    """A stage that may begin with what another stage has learnt, instead of from nothing."""

    def seed(self, states: Mapping[str, State]) -> None:
        """Called before `restore`, with the states of all stages by name; what does not fit is left."""
        ...
