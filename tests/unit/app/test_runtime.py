"""How the process keeps house with memory."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

from twofold.app.runtime import Spare


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries keep house by themselves")
def test_memory_is_given_back_once_the_process_grew_by_much() -> None:
    spare = Spare(from_bytes=0, most_bytes=32 << 20)
    spare.give_back()
    assert not spare.give_back(), "nothing grew since"
    grown = [np.ones(1 << 20, np.uint8) for _ in range(64)]
    assert spare.give_back()
    assert not spare.give_back()
    del grown


@pytest.mark.skipif(sys.platform != "linux", reason="other C libraries keep house by themselves")
def test_a_process_that_grows_no_more_gives_back_what_little_is_spare() -> None:
    spare = Spare(from_bytes=0, most_bytes=1 << 40, quiet_looks=3)
    grown = np.ones(64 << 20, np.uint8)
    assert [spare.give_back() for _ in range(6)].count(True) == 1
    del grown


def test_a_small_process_keeps_what_it_has() -> None:
    assert not Spare(from_bytes=1 << 50, most_bytes=0).give_back()


def test_it_looks_until_it_is_stopped() -> None:
    spare = Spare(most_bytes=1 << 50, every_s=0.01)
    spare.start()
    time.sleep(0.05)
    spare.stop()
    spare.stop()
