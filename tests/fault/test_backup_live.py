"""A backup taken while everything is at work holds all that was acknowledged before, once, and goes on from there."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Self

import pytest

from tests.fault.home import Acknowledged, Home, settle
from twofold.store.backup.restore import restore, verify
from twofold.store.backup.snapshot import back_up


class Busy:
    """Senders and chores over a home, in threads, until told to stop."""

    def __init__(self, home: Home, name: str) -> None:
        self.home = home
        self.name = name
        self.lines: set[str] = set()
        self.acts: set[str] = set()
        self._over = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._send, self._send, self._chores)]
        self.failures: list[BaseException] = []

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for each in self._threads:
            each.join()
        assert not self.failures

    def told(self) -> Acknowledged:
        return Acknowledged(frozenset(self.lines.copy()), frozenset(self.acts.copy()))

    def _send(self) -> None:
        number = 0
        while not self._over.wait(0.003):
            self.lines |= set(self.home.send(f"{self.name}-{threading.get_ident()}-{number}"))
            number += 1

    def _chores(self) -> None:
        number = 0
        try:
            while not self._over.wait(0.001):
                self.home.chores(number)
                self.home.act(f"{self.name}-{number}")
                self.acts.add(f"{self.name}-{number}")
                number += 1
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.failures.append(error)


def back_up_again_and_again(root: Path, times: int) -> None:
    """Back up a busy home; restore, check, and go on with what was restored."""
    for number in range(times):
        target = root / (f"backup-{number}.tar" if number % 2 else f"backup-{number}")
        home, again = root / f"home-{number}", root / f"home-{number + 1}"
        with Home(home) as opened, Busy(opened, f"b{number}") as busy:
            threading.Event().wait(0.6)
            before = busy.told()
            back_up(home, target)
        manifest, problems = verify(target)
        assert manifest is not None
        assert not problems
        restore(target, again)
        assert before.lines
        assert before.acts
        assert settle(again, before) >= len(before.lines)


def test_a_backup_of_a_busy_home_holds_all_that_was_acknowledged_before(tmp_path: Path) -> None:
    back_up_again_and_again(tmp_path, times=2)


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_many_backups_of_a_busy_home(tmp_path: Path) -> None:
    back_up_again_and_again(tmp_path, times=40)
