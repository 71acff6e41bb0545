"""Checkpoints: the state of every pipeline of a partition, and the journal position it stands for, in one blob."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from twofold.errors import Corrupt, NotFound
from twofold.flow.stage import State
from twofold.records.frame import Lane, Position
from twofold.store.blobs import Blobs

_SEPARATOR: Final = "\x1f"
_POSITION: Final = "position"

Key = tuple[str, Lane]
"""Tenant and lane: one pipeline of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a partition's stages knew at one position."""

    position: Position
    states: Mapping[Key, Mapping[str, State]]


def save(blobs: Blobs, name: str, checkpoint: Checkpoint) -> None:
    """Store durably under a name, replacing the previous one atomically."""
    arrays: dict[str, np.ndarray] = {_POSITION: np.array(checkpoint.position, np.int64)}
    for (tenant, lane), stages in checkpoint.states.items():
        for stage, state in stages.items():
            for field, value in state.items():
                mark, array = ("b", np.frombuffer(value, np.uint8)) if isinstance(value, bytes) else ("a", value)
                arrays[_SEPARATOR.join((tenant, lane.name, stage, mark, field))] = array
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    blobs.put(name, buffer.getvalue())


def load(blobs: Blobs, name: str) -> Checkpoint | None:
    """The checkpoint of that name, or None when there is none.

    Raises:
        Corrupt: The blob is not a checkpoint, or damaged. What was learnt is lost; the journal is not.
    """
    try:
        data = blobs.get(name)
    except NotFound:
        return None
    states: dict[Key, dict[str, dict[str, np.ndarray | bytes]]] = {}
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            segment, offset = (int(x) for x in arrays[_POSITION])
            for key in arrays.files:
                if key == _POSITION:
                    continue
                tenant, lane, stage, mark, field = key.split(_SEPARATOR)
                value = arrays[key]
                stage_state = states.setdefault((tenant, Lane[lane]), {}).setdefault(stage, {})
                stage_state[field] = value.tobytes() if mark == "b" else value
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise Corrupt(f"checkpoint {name} cannot be read: {error}", blob=name) from error
    return Checkpoint(position=Position(segment, offset), states=states)
