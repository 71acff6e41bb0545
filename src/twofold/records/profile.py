"""How a model's inputs and outputs were spread on its training data: what drift is measured against."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from twofold.errors import Corrupt


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Shares of one input or output.

    Attributes:
        edges: Upper bounds of all bins but the last, increasing. Bin i holds values in (edges[i-1], edges[i]].
        categories: For text: the known values; their shares come first, then the share of all others.
        shares: Share of rows per bin, summing to 1; one more than `edges` or `categories`.
        mean, deviation: Of numbers; 0 for text.
    """

    name: str
    shares: tuple[float, ...]
    edges: tuple[float, ...] = ()
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 0.0

    @property
    def text(self) -> bool:
        """Whether it describes a text input."""
        return bool(self.categories)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The reference of one model version, stored as a blob beside its artifact.

    Attributes:
        inputs: In the order of the version's inputs, numbers and texts mixed as declared.
        outputs: In the order of the version's outputs.
        rows: Training rows it was computed from.
    """

    inputs: tuple[Distribution, ...]
    outputs: tuple[Distribution, ...]
    rows: int

    def to_bytes(self) -> bytes:
        """JSON with sorted keys: equal profiles give equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Profile:
        """Inverse of `to_bytes`.

        Raises:
            Corrupt: The bytes are no profile.
        """
        try:
            loaded = json.loads(data)
            return cls(
                inputs=tuple(_distribution(entry) for entry in loaded["inputs"]),
                outputs=tuple(_distribution(entry) for entry in loaded["outputs"]),
                rows=int(loaded["rows"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise Corrupt(f"{len(data)} bytes are no reference profile: {error}", size_bytes=len(data)) from error


def _distribution(entry: dict[str, object]) -> Distribution:
    made = Distribution(**{key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()})  # type: ignore[arg-type]  # JSON; lengths are checked below
    if len(made.shares) != 1 + max(len(made.edges), len(made.categories)):
        raise ValueError(f"{made.name}: {len(made.shares)} shares for {len(made.edges)} edges")
    return made
