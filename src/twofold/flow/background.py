"""Work in a thread of its own, from `start` to `stop`."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod


class Background(ABC):
    """A loop that runs beside everything else.

    Args:
        name: Of the thread, as debuggers and profilers show it.

    Attributes:
        stopping: Set when it is time to end; waiting for it is how a loop pauses.
    """

    def __init__(self, name: str) -> None:
        self.stopping = threading.Event()
        self._name = name
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self.loop, name=self._name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the round at hand, and wait for that."""
        self.stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    @abstractmethod
    def loop(self) -> None:
        """What the thread does, until `stopping` is set."""
        ...
