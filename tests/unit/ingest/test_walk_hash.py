"""The walkers' hash: nobody outside can make two of their series meet, and it is what it says it is."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import numpy as np
import pytest

from tests.unit.ingest.messages import gauge, metrics_request
from tests.unit.ingest.mutation import repeatable
from tests.unit.ingest.null import NOW_NS, Bench
from twofold.aiops.ingest.frames import Origin
from twofold.aiops.ingest.otlp.message import PROTOBUF
from twofold.aiops.ingest.receiver import Payload
from twofold.aiops.ingest.walk import pointer
from twofold.records.frame import FrameKind, Lane
from twofold.stats.jit import kernel

WORD: Final = (1 << 64) - 1
M: Final = 0xC6A4A7935BD1E995
TOP: Final = 1 << 63


@kernel
def digest(start: int, size: int, seed: np.uint64, tag: int) -> np.uint64:  # pragma: no cover - compiled
    """Of bytes at an address."""
    found: np.uint64 = pointer.finish(pointer.digest(start, start + size, seed, tag), 0)
    return found


def hash_of(text: bytes, seed: int, tag: int = 10) -> int:
    padded = np.frombuffer(text + bytes(pointer.PADDING), np.uint8)
    return int(digest(padded.ctypes.data, len(text), np.uint64(seed), tag))


def murmur(text: bytes, seed: int) -> int:
    """What stood here before: rounds of MurmurHash64A."""
    h = seed
    for at in range(0, len(text), 8):
        h = (h ^ scattered(int.from_bytes(text[at : at + 8], "little"))) * M & WORD
    return h


def scattered(x: int) -> int:
    x = x * M & WORD
    return (x ^ x >> 47) * M & WORD


def gathered(x: int) -> int:
    """Inverse of `scattered`."""
    back = pow(M, -1, 1 << 64)
    x = x * back & WORD
    return (x ^ x >> 47) * back & WORD


def twin(chance: random.Random) -> tuple[bytes, bytes]:
    """Two words of eight bytes, both UTF-8, whose rounds differ in the highest bit alone."""
    while True:
        one = bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz0123456789", k=8))
        other = gathered(scattered(int.from_bytes(one, "little")) ^ TOP).to_bytes(8, "little")
        try:
            other.decode()
        except UnicodeDecodeError:
            continue
        return one, other


def colliding() -> tuple[bytes, bytes]:
    """Two texts that MurmurHash64A's rounds do not tell apart, whatever the seed: the second word takes back the first.

    Source: Aumasson, Bernstein, Boßlet (2012), "Hash-flooding DoS reloaded".
    """
    chance = repeatable(1)
    pairs = [twin(chance), twin(chance)]
    return b"".join(one for one, _ in pairs), b"".join(other for _, other in pairs)


def seeds(count: int) -> list[int]:
    chance = repeatable(2)
    return [chance.randrange(1 << 64) for _ in range(count)]


def test_texts_that_met_whatever_the_seed_was_are_told_apart() -> None:
    one, other = colliding()
    assert all(murmur(one, seed) == murmur(other, seed) for seed in seeds(100)), "no collision was constructed"
    assert all(hash_of(one, seed) != hash_of(other, seed) for seed in seeds(1000))


def test_a_hostile_sender_s_two_series_stay_two(bench: Bench) -> None:
    """Learnt from one request, asked for by another: each sample lands under its own labels.

    The label's name is as long as it must be for its value to begin with a word of the hash.
    """
    metrics = bench.ingest._metrics
    metrics.known.compile()
    origin = Origin(tenant="main", lane=Lane.LIVE, time_ns=NOW_NS)
    one, other = (text.decode() for text in colliding())

    def send(*values: str) -> None:
        points = [gauge("load", float(len(values)), NOW_NS, hostile_id=value) for value in values]
        body = metrics_request(*points).SerializeToString()
        assert metrics.receive(Payload(body=body, media=PROTOBUF, origin=origin)).status_code == 200

    send(one)
    send(other)
    sids = [row["sid"] for row in bench.rows(FrameKind.SAMPLES)]
    assert len(set(sids)) == 2
    assert {dict(labels)["hostile_id"] for _, labels in bench.samples()} == {one, other}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + b"\0",
        lambda text: text[:-1],
        lambda text: text[8:16] + text[:8] + text[16:],
        lambda text: bytes([text[0] ^ 128]) + text[1:],
        lambda text: text[:8] + bytes([text[8] ^ 1]) + text[9:],
        lambda text: text[:16] + text[16:32][::-1] + text[32:],
    ],
)
def test_what_differs_a_little_differs(change: Callable[[bytes], bytes]) -> None:
    chance = repeatable(3)
    for size in range(17, 65):
        text = chance.randbytes(size)
        if (changed := change(text)) != text:
            assert all(hash_of(text, seed) != hash_of(changed, seed) for seed in seeds(20))
        assert hash_of(text, 1, tag=10) != hash_of(text, 1, tag=18)


def test_bytes_behind_the_text_do_not_count() -> None:
    for size in range(40):
        text = bytes(range(1, size + 1))
        padded = np.frombuffer(text + b"\xff" * pointer.PADDING, np.uint8)
        assert int(digest(padded.ctypes.data, size, np.uint64(7), 10)) == hash_of(text, 7)


def test_half_of_all_bits_change_with_any_bit() -> None:
    """Over lengths 1 to 32, every bit of the text: on average between 30 and 34 of 64."""
    chance = repeatable(4)
    for size in (1, 7, 8, 9, 15, 16, 17, 24, 32):
        changed = []
        for bit in range(8 * size):
            seed, text = chance.randrange(1 << 64), chance.randbytes(size)
            flipped = (int.from_bytes(text, "little") ^ 1 << bit).to_bytes(size, "little")
            changed.append((hash_of(text, seed) ^ hash_of(flipped, seed)).bit_count())
        assert 29 < np.mean(changed) < 35, size
        assert min(changed) > 8, size


def test_numbers_in_texts_fill_a_table_evenly() -> None:
    """Names that count up, as real ones do, meet no more often than chance would have them."""
    count = 1 << 14
    for seed in seeds(3):
        places = {hash_of(b"host-%d" % number, seed) >> 1 & (count - 1) for number in range(count)}
        assert abs(len(places) - count * (1 - np.exp(-1))) < 0.02 * count
