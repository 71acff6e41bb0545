"""Peers, each in an environment of its own (`make peers`), run on the same lines in the same run."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import environment

ROOM: Final = "logs"
NAMES: Final = ("drain3", "drain3 + masks", "tipping")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a peer made of one stream.

    Attributes:
        ids: Group of each line.
        templates: Text per group; empty where the peer gives none.
        new: Lines at which a template appeared.
        cpu_s: CPU seconds.
    """

    ids: tuple[int, ...]
    templates: dict[int, str]
    new: tuple[int, ...]
    cpu_s: float

    def texts(self) -> list[str]:
        """Template of each line."""
        return [self.templates.get(each, "") for each in self.ids]


def available() -> bool:
    """Whether `make peers` has been run."""
    return environment.available(ROOM)


def run(name: str, streams: Sequence[Sequence[str]]) -> list[Run]:
    """A peer over streams of lines, anew for each.

    Raises:
        subprocess.CalledProcessError: The peer failed; its own words are on standard error.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in.json", Path(folder) / "out.json"
        source.write_text(json.dumps([list(stream) for stream in streams]))
        environment.run(ROOM, Path(__file__).with_name("peer.py"), name, source, target)
        found = json.loads(target.read_text())
    return [
        Run(
            ids=tuple(each["ids"]),
            templates={int(key): text for key, text in each["templates"].items()},
            new=tuple(each["new"]),
            cpu_s=each["cpu_s"],
        )
        for each in found
    ]
