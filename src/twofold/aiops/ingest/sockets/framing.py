"""Messages out of a stream of bytes: one a line, or each behind its length.

Source: RFC 6587, octet counting and non-transparent framing.
"""

from __future__ import annotations

import re
from typing import Final

_COUNT: Final = re.compile(rb"([1-9][0-9]{0,8}) (?=<)")
_COUNT_START: Final = re.compile(rb"[1-9][0-9]{0,8} ?\Z")


class Framer:
    """Cuts the stream of one connection into messages.

    The first bytes of a connection tell its framing: a length and a `<` mean octet counting, anything else lines.
    A stream that loses its count in the middle goes on as lines.

    Args:
        most: Bytes of a message; longer ones are cut there and the rest of them is thrown away.
        counted: Look for octet counting at all.
    """

    def __init__(self, most: int, *, counted: bool = True) -> None:
        self._most = most
        self._rest = b""
        self._counted: bool | None = None if counted else False
        self._skip = 0  # bytes of a counted message that is longer than `most`
        self._skip_line = False
        self.cut = 0
        """Messages that were cut so far."""

    def feed(self, data: bytes) -> list[bytes]:
        """Messages that are complete with these bytes."""
        data = self._rest + data if self._rest else data
        self._rest = b""
        if self._counted is None:
            if _COUNT_START.match(data):
                self._rest = data
                return []
            self._counted = _COUNT.match(data) is not None
        return self._by_count(data) if self._counted else self._by_line(data)

    def close(self) -> list[bytes]:
        """A last line that had no end."""
        rest, self._rest = self._rest, b""
        return [rest] if rest and not self._skip_line and not self._skip else []

    def _by_line(self, data: bytes) -> list[bytes]:
        *lines, rest = data.split(b"\n")
        if self._skip_line and lines:
            lines = lines[1:]
            self._skip_line = False
        if self._skip_line:
            return []
        long = [number for number, line in enumerate(lines) if len(line) > self._most] if len(data) > self._most else []
        for number in long:
            lines[number] = lines[number][: self._most]
            self.cut += 1
        if len(rest) > self._most:
            lines.append(rest[: self._most])
            self.cut += 1
            self._skip_line = True
            rest = b""
        self._rest = rest
        return [line for line in lines if line and line != b"\r"]

    def _by_count(self, data: bytes) -> list[bytes]:
        found: list[bytes] = []
        position = self._skip
        while position < len(data):
            match = _COUNT.match(data, position)
            if match is None:
                if _COUNT_START.match(data, position):
                    break
                self._counted, self._skip = False, 0
                return found + self._by_line(data[position:])
            length = int(match[1])
            kept = min(length, self._most)
            if len(data) < match.end() + kept:
                break
            found.append(data[match.end() : match.end() + kept])
            self.cut += length > self._most
            position = match.end() + length
        self._skip = max(0, position - len(data))
        self._rest = data[position:]
        return found
