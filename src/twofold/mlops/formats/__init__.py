"""Model file formats: bytes to a predictor and back, one format a file, never pickle.

Shared ground of training, gates and serving, below all of them. A format's library is imported
only when a model of that format is dumped or loaded.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from twofold.errors import Unsupported
from twofold.mlops.formats.skops import Skops

Numbers = npt.NDArray[np.float64]


class Predictor(Protocol):
    """A loaded model. Callable from many threads."""

    def predict(self, columns: Numbers | npt.NDArray[np.object_]) -> Numbers:
        """Outputs of shape (n, m) for inputs of shape (n, k) in declared order.

        Inputs are float64 when all are numbers, else objects (numbers and text mixed).
        """
        ...


class Format(Protocol):
    """How one kind of model becomes bytes and comes back."""

    name: str

    def fits(self, model: object) -> bool:
        """Whether this format can hold the model."""
        ...

    def dump(self, model: object) -> bytes:
        """Equal models give equal bytes. Raises `Unsupported` for parts that could not be loaded safely."""
        ...

    def load(self, data: bytes) -> Predictor:
        """The predictor. Raises `Corrupt`, or `Denied` for parts that are not on the allow-list."""
        ...


FORMATS: dict[str, Format] = {known.name: known for known in (Skops(),)}


def dump(model: object) -> tuple[str, bytes]:
    """Format name and bytes of a trained model.

    Raises:
        Unsupported: No format holds such a model.
    """
    for known in FORMATS.values():
        if known.fits(model):
            return known.name, known.dump(model)
    raise Unsupported(
        f"train() gave a {type(model).__module__}.{type(model).__qualname__}; formats are {', '.join(FORMATS)}",
        type=type(model).__qualname__,
    )


def load(name: str, data: bytes) -> Predictor:
    """The predictor in a model file.

    Raises:
        Unsupported: Unknown format.
        Corrupt: The bytes are no such file.
        Denied: The file asks for types that are not on the allow-list.
    """
    if name not in FORMATS:
        raise Unsupported(f"model format {name!r} cannot be loaded; formats are {', '.join(FORMATS)}", format=name)
    return FORMATS[name].load(data)
