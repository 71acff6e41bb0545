"""Every blob store keeps the same promises."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.bucket import bucket_of
from tests.contract.engines import engines_of
from twofold.errors import InputError, NotFound
from twofold.store import blobs as port
from twofold.store.blobs import Blobs
from twofold.store.blobs.files import FileBlobs
from twofold.store.blobs.s3 import S3Blobs


def on_s3(folder: Path) -> Blobs:
    """All that ask with one folder get the same bucket."""
    return S3Blobs(bucket_of(str(folder)))


OPENERS: dict[str, Callable[[Path], Blobs]] = {"files.FileBlobs": FileBlobs, "s3.S3Blobs": on_s3}
KEYS = st.sampled_from(["a", "a/b", "a/b/c", "ab", "b", "checkpoints/pipeline-0", "checkpoints/pipeline-1"])


def test_every_engine_is_found_and_has_an_opener_here() -> None:
    found = engines_of(port, Blobs)
    assert found, "no blob store found: the contract covers nothing"
    assert set(found) == set(OPENERS)


@pytest.fixture(params=OPENERS)
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return OPENERS[request.param](tmp_path)


def test_equal_bytes_have_one_content_key(blobs: Blobs) -> None:
    key = blobs.add(b"model")
    assert key == f"sha256/{hashlib.sha256(b'model').hexdigest()}"
    assert blobs.add(b"model") == key
    assert blobs.keys("sha256/") == [key]
    assert blobs.get(key) == b"model"


def test_a_content_key_never_holds_other_bytes(blobs: Blobs) -> None:
    key = blobs.add(b"model")
    with pytest.raises(InputError):
        blobs.put(key, b"other")
    blobs.put(key, b"model")
    assert blobs.get(key) == b"model"


def test_a_blob_in_parts_is_one_blob(blobs: Blobs) -> None:
    blobs.put("state", b"old")
    parts: list[bytes | memoryview] = [b"one ", memoryview(b"two"), b""]
    blobs.stream("state", iter(parts))
    assert blobs.get("state") == b"one two"
    assert bytes(blobs.view("state")) == b"one two"
    assert blobs.keys("") == ["state"]
    with pytest.raises(InputError, match="content key"):
        blobs.stream(f"sha256/{'0' * 64}", [b"x"])


def test_a_blob_whose_parts_fail_leaves_the_old_bytes(blobs: Blobs) -> None:
    blobs.put("state", b"old")

    def parts() -> Iterator[bytes]:
        yield b"new"
        raise RuntimeError("the stage failed")

    with pytest.raises(RuntimeError):
        blobs.stream("state", parts())
    assert blobs.get("state") == b"old"
    assert blobs.keys("") == ["state"]


def test_what_is_not_there_is_not_found(blobs: Blobs) -> None:
    with pytest.raises(NotFound):
        blobs.get("nothing")
    blobs.delete("nothing")
    assert not blobs.exists("nothing")
    assert blobs.keys("nothing/") == []


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../up", "a/../../b", "a//b", "a/", ".hidden", "a\0b", "é", "a" * 600]
)
def test_a_key_that_could_leave_the_store_is_refused(blobs: Blobs, key: str) -> None:
    for use in (blobs.get, blobs.exists, blobs.delete, lambda bad: blobs.put(bad, b"x")):
        with pytest.raises(InputError):
            use(key)


def test_a_prefix_cannot_leave_the_store(blobs: Blobs) -> None:
    with pytest.raises(InputError):
        blobs.keys("../")


class BlobsLikeDict(RuleBasedStateMachine):
    """Any order of calls does what a dict would, also over a restart."""

    opener: Callable[[Path], Blobs]
    folder: Callable[[], Path]

    @initialize()
    def start(self) -> None:
        self.root = self.folder()
        self.blobs = self.opener(self.root)
        self.model: dict[str, bytes] = {}

    @rule(key=KEYS, data=st.binary(max_size=50))
    def put(self, key: str, data: bytes) -> None:
        self.blobs.put(key, data)
        self.model[key] = data

    @rule(key=KEYS)
    def delete(self, key: str) -> None:
        self.blobs.delete(key)
        self.model.pop(key, None)

    @rule()
    def restart(self) -> None:
        self.blobs = self.opener(self.root)

    @rule(key=KEYS, prefix=st.sampled_from(["", "a", "a/", "checkpoints/", "checkpoints/p", "z"]))
    def look(self, key: str, prefix: str) -> None:
        assert self.blobs.exists(key) == (key in self.model)
        if key in self.model:
            assert self.blobs.get(key) == self.model[key]
        assert self.blobs.keys(prefix) == sorted(each for each in self.model if each.startswith(prefix))


@pytest.mark.parametrize(("opener", "examples"), [(FileBlobs, 25), (on_s3, 5)])
def test_any_order_of_calls_does_what_a_dict_would(
    opener: Callable[[Path], Blobs], examples: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def machine() -> BlobsLikeDict:
        one = BlobsLikeDict()
        one.opener = opener
        one.folder = lambda: tmp_path_factory.mktemp("blobs")
        return one

    run_state_machine_as_test(
        machine,  # type: ignore[arg-type]  # its hint asks for a class, it takes any factory
        settings=settings(max_examples=examples, stateful_step_count=25, deadline=None),
    )
