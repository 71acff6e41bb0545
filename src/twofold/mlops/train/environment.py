"""What a result depends on beside its data: the project's code and the installed distributions."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import distributions
from pathlib import Path


def code_sha256(folder: Path, files: Iterable[Path]) -> str:
    """Hash of source files by relative name and content; independent of where the folder stands."""
    lines = [f"{path.relative_to(folder).as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def environment() -> str:
    """Interpreter, machine and every installed distribution, one a line, sorted."""
    installed = {f"{found.metadata['Name'].lower()}=={found.version}" for found in distributions()}
    return "\n".join([f"python=={platform.python_version()}", f"machine=={platform.machine()}", *sorted(installed)])


def environment_sha256() -> str:
    """Hash of `environment()`."""
    return hashlib.sha256(environment().encode()).hexdigest()
