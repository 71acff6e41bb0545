"""Nothing that anyone can send, write or answer makes a decoder raise anything but an error of ours, or answer 5xx.

Ten seconds a decoder in every run of the tests, always the same mutations; four minutes each in the long ones, other
mutations each time. Each decoder has a process of its own.
How bytes are found that break something is told in `tests.fault.fuzz`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from tests.fault.decoders import DECODERS
from tests.fault.trees import Trees
from tests.unit.ingest.mutation import repeatable

SECONDS: Final = 10
LONG_S: Final = 240
START_S: Final = 180  # to import and to compile, on a busy machine
_ROOT: Final = Path(__file__).parents[2]


def broken(name: str, seconds: float, folder: Path, seed: int = 0) -> str:
    """What was found within some time; empty for nothing. Without a seed each call looks elsewhere."""
    command = [sys.executable, "-m", "tests.fault.fuzz", name, str(seconds), str(folder)]
    found = subprocess.run(
        command,
        cwd=_ROOT,
        env=os.environ | {"TWOFOLD_FUZZ_SEED": str(seed), "PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=seconds + START_S,
        check=False,
    )
    if found.returncode == 0:
        return ""
    bodies = "\n".join(f"{path.name}: {path.read_bytes()!r}" for path in folder.glob("*-*") if path.is_file())
    return f"{name}, ended with {found.returncode}\n{found.stdout[-3000:]}\n{bodies}"


@pytest.mark.parametrize("name", DECODERS)
def test_a_decoder_survives_any_bytes(name: str, tmp_path: Path) -> None:
    assert not broken(name, SECONDS, tmp_path, seed=1)


@pytest.mark.long
@pytest.mark.timeout(len(DECODERS) * (LONG_S + START_S))
def test_every_decoder_survives_four_minutes(tmp_path: Path) -> None:
    """As many at a time as there are processors."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = [pool.submit(broken, name, LONG_S, tmp_path / f"{number}") for number, name in enumerate(DECODERS)]
        found = [each.result() for each in made]
    assert not any(found), "\n\n".join(filter(None, found))


def test_what_breaks_a_decoder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decoder that trips over one word is caught within seconds, with or without guidance, and the body is shown."""
    flaw = "import tests.fault.decoders as d\nimport tests.fault.fuzz as f\nimport pathlib, sys\n"
    flaw += "def trip(body):\n    assert b'\\xff' not in body\n"
    flaw += "d.DECODERS['flawed'] = lambda: d.Decoder([b'abc'], trip)\n"
    (tmp_path / "flawed.py").write_text(f"{flaw}f.main('flawed', 20, pathlib.Path(sys.argv[1]))\n")
    monkeypatch.setenv("PYTHONPATH", str(_ROOT))
    command = [sys.executable, str(tmp_path / "flawed.py"), str(tmp_path)]
    found = subprocess.run(command, cwd=_ROOT, capture_output=True, check=False, timeout=START_S)
    assert found.returncode != 0
    assert b"AssertionError" in found.stdout + found.stderr


def test_interpreted_walkers_know_as_many_series_as_compiled_ones() -> None:
    """The table of hashes grows under them as it does under the compiled ones."""
    grow = "import tests.fault.interpreted\nimport numpy as np\nfrom twofold.aiops.ingest.walk import table\n"
    grow += "pairs, places = np.array([7, 1, 1 << 63, 2], np.uint64), np.zeros(8, np.int32)\n"
    grow += "table.index(places, pairs, 2)\n"
    grow += "assert sorted(places.tolist()) == [0] * 6 + [1, 2]\n"
    command = [sys.executable, "-c", grow]
    grown = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False, timeout=START_S)
    assert grown.returncode == 0, grown.stderr


def test_mutated_trees_are_json_and_differ() -> None:
    """Of trees and of lines of trees; what is no JSON is left to the other mutations."""
    trees = Trees([b'{"a":[1,{"b":"c"}]}'])
    mutated = trees.mutator(lambda data, _: data)
    chance = repeatable(5)
    made = {mutated(b'{"a":[1,{"b":"c"}]}\n{"d":2}', 4096, chance.randrange(1 << 32)) for _ in range(300)}
    assert len(made) > 50
    assert mutated(b"\xff", 4096, 1) == b"\xff"
    deep = b"[" * 300 + b"]" * 300  # can be read, and not be written
    assert {mutated(deep, 4096, seed) for seed in range(300)}
    assert not Trees([b"\x0a\x00"])
