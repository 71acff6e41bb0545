"""Processes to be killed, without the second that each would spend on imports: forked from one that did them."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from contextlib import AbstractContextManager, suppress
from pathlib import Path

_ROOT = Path(__file__).parents[2]


class Nursery(AbstractContextManager["Nursery"]):
    """Runs functions of one module in processes of their own, one after the other.

    Args:
        module: Imported once; its functions take and need nothing but JSON. Importing it starts no thread.
        quiet: What the processes complain about is expected.
    """

    def __init__(self, module: str, *, quiet: bool = False) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from tests.fault import nursery; nursery.serve({module!r})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if quiet else None,
            cwd=_ROOT,
            text=True,
        )

    def run(self, name: str, *arguments: object, timeout_s: int = 60) -> int:
        """Call a function; returns how its process ended: 0, or the negative number of a signal."""
        self.begin(name, *arguments, timeout_s=timeout_s)
        return self.end()

    def begin(self, name: str, *arguments: object, timeout_s: int = 60) -> None:
        """Call a function in a new process, for which `end` waits."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([name, arguments, timeout_s]) + "\n")
        self._process.stdin.flush()
        self._child = os.pidfd_open(self._answer())
        self._process.stdin.write("held\n")
        self._process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL, if it has not ended by itself."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._child, signal.SIGKILL)

    def end(self) -> int:
        """Wait for the process that `begin` began; returns how it ended."""
        os.close(self._child)
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer, "the nursery died"
        return int(answer)

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def serve(module: str) -> None:
    """The other side of `Nursery`."""
    loaded = importlib.import_module(module)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a child prints must not look like an answer
    while line := sys.stdin.readline():
        name, arguments, timeout_s = json.loads(line)
        child = os.fork()
        if not child:
            _live(getattr(loaded, name), arguments, timeout_s)
        answers.write(f"{child}\n")
        sys.stdin.readline()  # the other side holds it: its number is not given to another one before
        _, status = os.waitpid(child, 0)
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")


def _live(call: object, arguments: list[object], timeout_s: int) -> None:
    signal.alarm(timeout_s)
    try:
        call(*arguments)  # type: ignore[operator]  # a function by its name
    except BaseException:  # noqa: BLE001 - the end of a process
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
