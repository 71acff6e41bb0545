"""What stages knew at one position comes back as it was, or is refused with a next step."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from twofold.errors import Corrupt
from twofold.flow.checkpoint import Checkpoint, load, save
from twofold.records.frame import Lane, Position
from twofold.store.blobs.files import FileBlobs

NAMES = st.text(st.characters(categories=["L", "N"], include_characters=" ./-@"), min_size=1, max_size=8)
VALUES = st.binary(max_size=40) | hnp.arrays(
    st.sampled_from([np.int64, np.float64, np.int8, np.bool_]), hnp.array_shapes(max_dims=2, min_side=0, max_side=4)
)
STATES = st.dictionaries(
    st.tuples(NAMES, st.sampled_from(Lane)),
    st.dictionaries(NAMES, st.dictionaries(NAMES, VALUES, min_size=1, max_size=3), min_size=1, max_size=3),
    max_size=3,
)


@given(states=STATES, segment=st.integers(0, 2**31), offset=st.integers(0, 2**40))
def test_every_state_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    states: dict[object, dict[str, dict[str, object]]],
    segment: int,
    offset: int,
) -> None:
    blobs = FileBlobs(tmp_path_factory.mktemp("blobs"))
    save(blobs, "c", Checkpoint(position=Position(segment, offset), states=states))  # type: ignore[arg-type]
    found = load(blobs, "c")
    assert found is not None
    assert found.position == (segment, offset)
    assert found.states.keys() == states.keys()
    for key, stages in states.items():
        for stage, fields in stages.items():
            for field, value in fields.items():
                got = found.states[key][stage][field]  # type: ignore[index]
                assert type(got) is type(value)
                assert (
                    got == value
                    if isinstance(value, bytes)
                    else np.array_equal(got, value, equal_nan=value.dtype.kind == "f")
                )


def test_a_checkpoint_of_an_older_version_is_read(tmp_path: Path) -> None:
    zipped = io.BytesIO()
    state = {"main\x1fLIVE\x1fpanel\x1fa\x1frows": np.arange(6).reshape(2, 3)}
    known: dict[str, Any] = {"main\x1fLIVE\x1fpanel\x1fb\x1fknown": np.frombuffer(b"{}", "u1"), **state}
    np.savez(zipped, position=np.array([7, 8]), **known)
    blobs = FileBlobs(tmp_path)
    blobs.put("c", zipped.getvalue())
    found = load(blobs, "c")
    assert found is not None
    assert found.position == (7, 8)
    panel = found.states["main", Lane.LIVE]["panel"]
    assert panel["known"] == b"{}"
    assert np.array_equal(panel["rows"], np.arange(6).reshape(2, 3))


def test_what_is_read_is_no_copy_and_cannot_be_written_to(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    save(blobs, "c", Checkpoint(position=Position(1, 2), states={("main", Lane.LIVE): {"s": {"f": np.arange(4)}}}))
    found = load(blobs, "c")
    assert found is not None
    state = np.asarray(found.states["main", Lane.LIVE]["s"]["f"])
    assert not state.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        state[:] = 9


def test_without_a_checkpoint_there_is_none(tmp_path: Path) -> None:
    assert load(FileBlobs(tmp_path), "none") is None


@pytest.mark.parametrize("damage", ["garbage", "empty", "cut", "other arrays", "pickle"])
def test_damage_is_named(tmp_path: Path, damage: str) -> None:
    blobs = FileBlobs(tmp_path)
    save(blobs, "c", Checkpoint(position=Position(1, 2), states={("main", Lane.LIVE): {"s": {"f": np.arange(100)}}}))
    whole, other, pickled = blobs.get("c"), io.BytesIO(), io.BytesIO()
    np.savez(other, allow_pickle=False, something=np.arange(3))
    np.savez(pickled, position=np.array([object(), object()]))
    data = {
        "garbage": b"not a checkpoint",
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "other arrays": other.getvalue(),
        "pickle": pickled.getvalue(),
    }[damage]
    blobs.put("c", data)
    with pytest.raises(Corrupt, match="checkpoint c cannot be read"):
        load(blobs, "c")
