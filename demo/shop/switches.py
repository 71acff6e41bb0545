"""What the control can change in a running process: named switches, off unless told otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Switches:
    """Values by name, with followers. Set from the lines on standard input: `{"name": "slow", "value": true}`."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._followers: dict[str, list[Callable[[Any], None]]] = {}

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or `default` when never set."""
        return self._values.get(name, default)

    def follow(self, name: str, call: Callable[[Any], None]) -> None:
        """Call with each new value."""
        self._followers.setdefault(name, []).append(call)

    def set(self, name: str, value: Any) -> None:
        """Change a value and tell its followers."""
        self._values[name] = value
        for call in self._followers.get(name, []):
            call(value)
