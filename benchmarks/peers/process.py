"""Starting, watching and ending the programs that are compared."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import suppress
from typing import Final

import httpx
import psutil

IDLE: Final = 0.15  # of a core


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ready(url: str, process: subprocess.Popen[bytes], limit_s: float = 300.0) -> None:
    """Wait until the program answers. Raises `SystemExit` when it ends or stays silent."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(url, trust_env=False).is_success:
                return
        time.sleep(0.1)
    raise SystemExit(f"{process.args!r} is not ready at {url}")


def stop(process: subprocess.Popen[bytes], limit_s: float = 120.0) -> None:
    """End the program and wait for it."""
    if process.poll() is None:
        process.terminate()
        process.wait(limit_s)


def family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """The program and its children."""
    parent = psutil.Process(process.pid)
    return [parent, *parent.children(recursive=True)]


def cpu_s(process: subprocess.Popen[bytes]) -> float:
    """Processor time used by the program and its children."""
    return sum(sum(each.cpu_times()[:2]) for each in family(process))


def rss_bytes(process: subprocess.Popen[bytes]) -> float:
    """Resident memory of the program and its children."""
    return float(sum(each.memory_info().rss for each in family(process)))


def calm(process: subprocess.Popen[bytes], limit_s: float = 180.0) -> None:
    """Wait until nothing is worked off or compiled in the background any more: two seconds in a row almost idle."""
    deadline, quiet, used = time.monotonic() + limit_s, 0, cpu_s(process)
    while quiet < 2 and time.monotonic() < deadline:  # noqa: PLR2004 - in a row
        time.sleep(1.0)
        before, used = used, cpu_s(process)
        quiet = quiet + 1 if used - before < IDLE else 0
