"""One long mixed stream, as bytes, made once and kept in the system's folder for temporary files."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.logs import expand
from benchmarks.logs.data import System


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Many lines in one buffer, and the number of the template that wrote each."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int64]
    truth: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.truth)

    def texts(self, count: int) -> list[str]:
        """The first lines as text."""
        raw, edges = self.data[: self.offsets[count]].tobytes(), self.offsets[: count + 1].tolist()
        return [raw[a:b].decode() for a, b in pairwise(edges)]


def packed(texts: Sequence[str], truth: Sequence[str]) -> Lines:
    """Lines of text in one buffer."""
    encoded = [text.encode() for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int64)
    np.cumsum([len(each) for each in encoded], out=offsets[1:])
    numbers = {label: i for i, label in enumerate(dict.fromkeys(truth))}
    return Lines(
        data=np.frombuffer(b"".join(encoded), np.uint8),
        offsets=offsets,
        truth=np.array([numbers[label] for label in truth], np.int32),
    )


def mixed(systems: Sequence[System], lines: int) -> Lines:
    """The stream of `expand.mixed`, from the file where a run before left it."""
    key = hashlib.sha256(Path(expand.__file__).read_bytes())
    for system in systems:
        key.update(repr((system.name, system.content, system.truth)).encode())
    path = Path(tempfile.gettempdir()) / "twofold-benchmarks" / f"logs-{lines}-{key.hexdigest()[:16]}.npz"
    if path.exists():
        with np.load(path, allow_pickle=False) as kept:
            return Lines(data=kept["data"], offsets=kept["offsets"], truth=kept["truth"])
    drawn = expand.mixed(systems, lines)
    made = packed([text for text, _ in drawn], [label for _, label in drawn])
    path.parent.mkdir(exist_ok=True)
    np.savez(path, data=made.data, offsets=made.offsets, truth=made.truth)
    return made
