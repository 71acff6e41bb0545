"""A failpoint ends the process at the named pass, and only there; unarmed ones cost and do nothing."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import twofold
from twofold.errors import ConfigError
from twofold.store import failpoints

CHILD = """
from twofold.store.failpoints import arm, reach
arm("checkpoint.save:2")
for number in range(3):
    reach("journal.append")
    print(number, flush=True)
    reach("checkpoint.save")
"""


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def test_the_process_ends_at_the_named_pass() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == ["0", "1"]


def test_unarmed_places_are_passed() -> None:
    failpoints.arm("")
    for name in failpoints.NAMES:
        failpoints.reach(name)


@pytest.mark.parametrize("text", ["nowhere:1", "journal.append", "journal.append:0", "journal.append:x"])
def test_a_wrong_failpoint_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match=r"journal\.append"):
        failpoints.arm(text)


def test_every_failpoint_stands_somewhere_and_every_place_has_a_name() -> None:
    sources = Path(twofold.__file__).parent.rglob("*.py")
    reached = {name for path in sources for name in re.findall(r'reach\("([a-z.]+)"\)', path.read_text())}
    assert reached == set(failpoints.NAMES)
