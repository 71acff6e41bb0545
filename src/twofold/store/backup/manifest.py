"""What a backup holds: every file with its size and SHA-256, and a checksum over the list itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

import orjson

from twofold.errors import Corrupt, Unsupported

NAME: Final = "manifest.json"
FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file.

    Attributes:
        path: Relative to the data folder, with slashes.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A whole backup.

    Attributes:
        created: RFC 3339, UTC.
        product: Version of Twofold that took it.
        facts: What was consistent at which point, for people: journal ends, table versions.
    """

    created: str
    product: str
    files: Sequence[Entry]
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files)

    def encode(self) -> bytes:
        """As JSON text, with its own checksum."""
        tree = {"format": FORMAT, **asdict(self)}
        return orjson.dumps({**tree, "sha256": _digest(tree)}, option=orjson.OPT_INDENT_2)


def decode(data: bytes) -> Manifest:
    """Inverse of `Manifest.encode`.

    Raises:
        Corrupt: No manifest, one that was changed, or one that names files outside of the data folder.
        Unsupported: Written by a newer version.
    """
    try:
        tree: dict[str, Any] = orjson.loads(data)
        told = tree.pop("sha256")
        if tree["format"] != FORMAT:
            raise Unsupported(f"a backup of format {tree['format']}, this version reads {FORMAT}")
        if told != _digest(tree):
            raise Corrupt("the manifest does not match its own checksum; the backup's list of files cannot be trusted")
        files = [Entry(**each) for each in tree["files"]]
        found = Manifest(created=tree["created"], product=tree["product"], files=files, facts=tree["facts"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Corrupt(f"the manifest cannot be read: {error}") from error
    for each in files:
        if not (isinstance(each.path, str) and isinstance(each.size, int) and isinstance(each.sha256, str)):
            raise Corrupt(f"the manifest names a file as {each}; path and sha256 must be text, the size a whole number")
        path = PurePosixPath(each.path)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise Corrupt(f"the manifest names {each.path!r}, which lies outside of the data folder")
    return found


def _digest(tree: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)).hexdigest()
