"""Work in a process of its own: replies come back, failures say why, nothing outlives its limits."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from twofold.errors import InputError
from twofold.mlops.child import ChildFailed, Limits, run

MODULE = "tests.unit.mlops.childwork"
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The child's path is our own, so the module of this test is made known to it by the interpreter's switch."""
    monkeypatch.setattr("twofold.mlops.child._KEPT", ("PATH", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "PYTHONPATH"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def test_the_reply_comes_back_from_a_fixed_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_PARENT", "x")
    reply = run(MODULE, {"act": "environment"}, folder=tmp_path)
    assert reply["PYTHONHASHSEED"] == "0"
    assert reply["OMP_NUM_THREADS"] == "1"
    assert reply["HOME"] == str(tmp_path)
    assert "SECRET_OF_THE_PARENT" not in reply


def test_an_exception_comes_back_as_its_text_and_the_output(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="ZeroDivisionError") as caught:
        run(MODULE, {"act": "raise"}, folder=tmp_path)
    assert "about to divide" in caught.value.message


def test_refused_input_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not this"):
        run(MODULE, {"act": "refuse"}, folder=tmp_path)


def test_a_killed_child_names_the_signal_and_the_limits(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="SIGKILL"):
        run(MODULE, {"act": "kill"}, folder=tmp_path)


def test_too_much_memory_fails_alone(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="out of memory: limit 400 MiB"):
        run(MODULE, {"act": "memory"}, folder=tmp_path, limits=Limits(memory_bytes=400 << 20))


def test_too_much_processor_time_fails(tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match=r"SIGKILL|SIGXCPU"):
        run(MODULE, {"act": "spin"}, folder=tmp_path, limits=Limits(cpu_s=1))


def test_a_child_that_hangs_is_ended_with_its_own_children(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(ChildFailed, match=r"longer than 2\.0 s"):
        run(MODULE, {"act": "hang"}, folder=tmp_path, limits=Limits(wall_s=2.0))
    assert time.monotonic() - start < 15
    grandchild = int((tmp_path / "grandchild").read_text())
    for _ in range(50):
        if not Path(f"/proc/{grandchild}").exists() or "Z" in Path(f"/proc/{grandchild}/stat").read_text().split()[2]:
            break
        time.sleep(0.1)
    else:
        os.kill(grandchild, 9)
        pytest.fail("the grandchild outlived its limit")
