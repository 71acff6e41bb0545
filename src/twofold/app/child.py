"""The worker as a child that is kept alive: when it ends by itself, another one is started."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from typing import Final

from twofold.config import Config, worker_environment

log = logging.getLogger(__name__)

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_SETTLED_S: Final = 60.0
_END_S: Final = 15.0


class WorkerProcess:
    """Starts the second process, and starts it again with growing pauses when it dies.

    Durable workflows make that safe: the next worker goes on where the last one was, and a step that was cut off
    is not silently run again. Also the first start may fail: an orphan of a killed first process may still hold the
    lease for some seconds.

    Attributes:
        starts: How often it was started; more than once means that it died.
    """

    def __init__(self, config: Config) -> None:
        self._command = [sys.executable, "-m", "twofold", "worker", "--data", str(config.home)]
        if config.source:
            self._command += ["--config", str(config.source)]
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self.starts = 0

    @property
    def pid(self) -> int:
        """Its process id; 0 while none runs."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else 0

    def start(self) -> None:
        """Begin in a thread of its own."""
        self._thread = threading.Thread(target=self._loop, name="worker-process", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it: politely, then not. What it was doing goes on at the next start."""
        self._stop.set()
        with self._lock:
            process = self._process
        if process is not None:
            process.terminate()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _loop(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while (process := self._spawn()) is not None:
            began = time.monotonic()
            code = process.wait()
            if process.stdin is not None:
                process.stdin.close()
            if self._stop.is_set():
                return
            pause_s = _FIRST_PAUSE_S if time.monotonic() - began > _SETTLED_S else min(pause_s * 2, _LONGEST_PAUSE_S)
            log.warning("the worker ended with %d and is started again in %.0f s", code, pause_s)
            self._stop.wait(pause_s)

    def _spawn(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stop.is_set():
                return None
            self.starts += 1
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter with fixed arguments
                self._command, env=worker_environment(), stdin=subprocess.PIPE, start_new_session=True
            )
            return self._process
