"""Content-addressed bytes: model files, snapshots, checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class Blobs(Protocol):
    """Bytes by key. A content key is `sha256/<hex>`; a named key may be replaced atomically."""

    def add(self, data: bytes) -> str:
        """Store bytes durably under their content key and return it."""
        ...

    def put(self, key: str, data: bytes) -> None:
        """Store bytes durably under a name, replacing what was there atomically."""
        ...

    def stream(self, key: str, parts: Iterable[bytes | memoryview]) -> None:
        """`put` of what does not have to be in one place: the parts one after the other, under a name."""
        ...

    def get(self, key: str) -> bytes:
        """The bytes. Raises `NotFound`, or `Corrupt` when a content key does not match its bytes."""
        ...

    def view(self, key: str) -> memoryview:
        """`get` without a copy where the engine can do without; stays as it is when the key is replaced."""
        ...

    def exists(self, key: str) -> bool:
        """Whether the key is there."""
        ...

    def keys(self, prefix: str) -> list[str]:
        """Names below a prefix, sorted."""
        ...

    def delete(self, key: str) -> None:
        """Remove a named key; no error when absent."""
        ...
