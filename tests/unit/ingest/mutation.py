"""Bytes that are nearly right: what decoders must survive."""

from __future__ import annotations

import random
from collections.abc import Sequence

_WORDS = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff\x0f",
    b"\x80" * 10,
    b"\x0a\x00",
    b'"',
    b"{",
    b"[",
    b"1e999",
    b"null",
)


def mutated(corpus: Sequence[bytes], chance: random.Random) -> bytes:
    """A body of the corpus with one to four faults: flipped, cut, repeated, moved, spliced bytes."""
    body = bytearray(chance.choice(corpus))
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(body) + 1)
        until = min(len(body), at + chance.choice((1, 2, 4, 8, 16, 64)))
        match chance.randrange(7):
            case 0 if at < len(body):
                body[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(body):
                body[at] = chance.randrange(256)
            case 2:
                del body[at:until]
            case 3:
                body[at:at] = body[at:until]
            case 4:
                body[at:at] = chance.choice(_WORDS)
            case 5:
                del body[at:]
            case _:
                other = chance.choice(corpus)
                start = chance.randrange(len(other) + 1)
                body[at:until] = other[start : start + 32]
    return bytes(body)


def repeatable(seed: int) -> random.Random:
    """Chance that falls the same way in every run."""
    return random.Random(seed)  # noqa: S311 - repeatable on purpose, nothing secret
