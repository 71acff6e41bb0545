"""What is a key, and how bytes are kept so that a flipped bit is noticed: the same for every engine.

A content key is the check of its bytes. A named blob begins with the CRC-32 of the rest, in eight digits and a
line's end; older versions kept it as it was, under `.blob`, which is still read.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import Final

from twofold.errors import Corrupt, InputError

CONTENT: Final = "sha256/"
MAX_KEY_CHARS: Final = 512
PLAIN: Final = ".blob"
"""Ending of content blobs, so that `a` and `a/b` can both be keys."""
NAMED: Final = ".named"
"""Ending of blobs with a checksum before them."""
HEAD_BYTES: Final = 9
_PART: Final = re.compile(r"(?!\.)[A-Za-z0-9._@+=:, -]{1,200}(?<!\.blob)(?<!\.named)")


def content_key(data: bytes | memoryview) -> str:
    """The key of bytes.

    >>> content_key(b"")[:14]
    'sha256/e3b0c44'
    """
    return CONTENT + hashlib.sha256(data).hexdigest()


def parts_of(key: str) -> list[str]:
    """The names between a key's slashes. Raises `InputError` for what is no key (`reason="blob_key"`)."""
    parts = key.split("/")
    if len(key) > MAX_KEY_CHARS or not all(_PART.fullmatch(part) for part in parts):
        raise InputError(
            f"{key!r} is no blob key: parts of letters, digits and ._@+=:,- between slashes, "
            f"none starting with a dot, at most {MAX_KEY_CHARS} characters",
            reason="blob_key",
            key=key,
        )
    return parts


def check_prefix(prefix: str) -> None:
    """Raise `InputError` for a prefix that leaves the store."""
    if prefix.startswith("/") or ".." in prefix.split("/"):
        raise InputError(f"prefix {prefix!r} leaves the store", reason="blob_key", key=prefix)


def check_put(key: str, data: bytes) -> None:
    """Raise `InputError` for a content key of other bytes (`reason="blob_key"`)."""
    if key.startswith(CONTENT) and key != content_key(data):
        raise InputError(f"{key} is the content key of other bytes; use add()", reason="blob_key", key=key)


def head_of(crc: int) -> bytes:
    """What stands before the bytes of a named blob."""
    return b"%08x\n" % crc


def check_name(key: str) -> None:
    """Raise `InputError` for the key of bytes that must be known first (`reason="blob_key"`)."""
    if key.startswith(CONTENT):
        raise InputError(f"{key} is a content key; use add()", reason="blob_key", key=key)


def seal(data: bytes) -> bytes:
    """A named blob as it is kept."""
    return head_of(zlib.crc32(data)) + data


def opened(key: str, kept: bytes | memoryview, *, named: bool) -> memoryview:
    """The bytes of a blob as they were put. Raises `Corrupt`."""
    data = memoryview(kept)
    if named:
        head, data = bytes(data[:HEAD_BYTES]), data[HEAD_BYTES:]
        whole = head == head_of(zlib.crc32(data))
    else:
        whole = not key.startswith(CONTENT) or key == content_key(data)
    if not whole:
        raise Corrupt(f"the bytes of blob {key} fail their check; restore it from a backup", key=key)
    return data
