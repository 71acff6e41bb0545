"""A piece of model work in a short-lived process of its own, with limits and a fixed environment.

User code and heavy libraries run here and nowhere else, so their memory goes back when the work
is done, and a crash or a runaway loop ends one process. Parent and child talk through two JSON files.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from twofold.errors import InputError, Permanent, TwofoldError, Unavailable

Json = Any
_REQUEST: Final = "request.json"
_REPLY: Final = "reply.json"
_OUTPUT: Final = "output.txt"
_OUTPUT_SHOWN: Final = 2000
_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "SYSTEMROOT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one child may use.

    Attributes:
        memory_bytes: Address space; libraries map far more than they touch.
        cpu_s: Processor time.
        wall_s: Time until it is killed.
        file_bytes: Largest file it may write.
        niceness: Added to the parent's.
    """

    memory_bytes: int = 6 << 30
    cpu_s: int = 1800
    wall_s: float = 3600.0
    file_bytes: int = 2 << 30
    niceness: int = 5


class ChildFailed(Permanent):
    """The work raised, or the process died. The message holds the reason and the end of its output."""


def run(module: str, request: Mapping[str, Json], *, folder: Path, limits: Limits | None = None) -> Json:
    """Run `python -m <module>` over a request and return its reply.

    The environment is fixed: hash seed 0, one thread for numeric libraries, UTF-8, home and temporary
    files inside `folder`. So the same request gives the same reply.

    The module's `__main__` calls `answer`. `folder` is an empty folder of the caller's; the child works in it.

    Raises:
        ChildFailed: The work raised, or a limit killed it.
        InputError: The work refused its input.
        Unavailable: No process could be started.
    """
    limits = limits or Limits()
    document = {"limits": {name: getattr(limits, name) for name in Limits.__slots__}, "request": request}
    (folder / _REQUEST).write_text(json.dumps(document), encoding="utf-8")
    command = [sys.executable, "-P", "-s", "-m", module, str(folder)]
    with (folder / _OUTPUT).open("wb") as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, cwd=folder, env=_environment(folder), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise Unavailable(f"no process for {module}: {error}", module=module) from error
        try:
            code = process.wait(limits.wall_s)
        except subprocess.TimeoutExpired as error:
            raise ChildFailed(
                f"{module} took longer than {limits.wall_s} s{_tail(folder)}", limit_s=limits.wall_s
            ) from error
        finally:
            _end(process)
    return _reply(module, folder, code, limits)


def answer(work: Callable[[Json, Path], Json]) -> None:
    """The child's `__main__`: take limits, do the work, leave the reply and exit."""
    folder = Path(sys.argv[1])
    document = json.loads((folder / _REQUEST).read_text(encoding="utf-8"))
    _apply(Limits(**document["limits"]))
    try:
        reply: dict[str, Json] = {"result": work(document["request"], folder)}
    except TwofoldError as error:
        reply = {"refused": error.message}
    except MemoryError:
        reply = {"error": f"out of memory: limit {document['limits']['memory_bytes'] >> 20} MiB"}
    except Exception as error:  # noqa: BLE001 - the process boundary: user code may raise anything
        traceback.print_exc()
        reply = {"error": f"{type(error).__name__}: {error}"}
    (folder / _REPLY).write_text(json.dumps(reply), encoding="utf-8")
    sys.exit(0 if "result" in reply else 1)


def _environment(folder: Path) -> dict[str, str]:
    fixed = {
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "NUMEXPR_NUM_THREADS": "1",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "HOME": str(folder),
        "TMPDIR": str(folder),
    }
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | fixed


def _apply(limits: Limits) -> None:
    os.nice(limits.niceness)
    for what, value in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (bound, bound))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing behind: the child is a session of its own, its own children included."""
    with contextlib.suppress(ProcessLookupError):  # all of them have ended, which is what is wanted
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _reply(module: str, folder: Path, code: int, limits: Limits) -> Json:
    try:
        reply = json.loads((folder / _REPLY).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        name = signal.Signals(-code).name if code < 0 else f"exit {code}"
        hint = f" (limits: {limits.cpu_s} s processor time, {limits.memory_bytes >> 20} MiB)" if code < 0 else ""
        raise ChildFailed(f"{module} ended with {name}{hint}{_tail(folder)}", code=code) from error
    if "result" in reply:
        return reply["result"]
    if "refused" in reply:
        raise InputError(reply["refused"], reason="refused")
    raise ChildFailed(f"{reply['error']}{_tail(folder)}", code=code)


def _tail(folder: Path) -> str:
    """The end of what it printed, for the error message."""
    text = (folder / _OUTPUT).read_bytes()[-_OUTPUT_SHOWN:].decode(errors="replace").strip()
    return f"\n{text}" if text else ""
