"""Peers of a benchmark, each in an environment of its own (`make peers`), run as programs beside ours."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1] / ".peers"


def python(name: str) -> Path:
    """The interpreter of the peer's environment."""
    return ROOT / name / "bin" / "python"


def available(name: str) -> bool:
    """Whether `make peers` has set it up."""
    return python(name).exists()


def run(name: str, script: Path, *arguments: str | Path) -> None:
    """Run a script in the peer's environment.

    Raises:
        subprocess.CalledProcessError: The peer failed; its own words are on standard error.
    """
    subprocess.run([python(name), script, *arguments], check=True)
