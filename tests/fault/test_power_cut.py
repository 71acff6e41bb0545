"""Promise P1 under power loss: what was acknowledged was synced, files and names, so it survives on any disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fault import ramdisk
from tests.fault.home import Acknowledged, acknowledged, moments, settle
from tests.fault.nursery import Nursery

ROOT = Path(__file__).parents[2]
ROUNDS = 400


@pytest.fixture(scope="module", autouse=True)
def needs_fuse(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("probe")
    try:
        fuse = ramdisk.mount(folder)
    except OSError as error:
        message = f"no FUSE mounts here ({error}): power cuts are not covered; run as root where /dev/fuse is"
        if os.environ.get("TWOFOLD_CI"):
            pytest.fail(message)
        pytest.skip(message)
    ramdisk.unmount(folder)
    os.close(fuse)


@contextmanager
def disk(folder: Path, image: Path, after: Path, seed: int) -> Iterator[subprocess.Popen[str]]:
    """The RAM disk at `folder`; `after` holds what survived once it got SIGUSR1."""
    command = [sys.executable, "-m", "tests.fault.ramdisk", str(folder), str(image), str(after), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == "mounted\n"
            yield server
        finally:
            ramdisk.unmount(folder)
            server.kill()


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with Nursery("tests.fault.home", quiet=True) as opened:
        yield opened


def cut_power(nursery: Nursery, root: Path, cuts: int, seed: int) -> None:
    """One life after the other on what the last cut left; each is told what is checked after every cut."""
    chance = moments(seed)
    expected = Acknowledged()
    mounted, image = root / "mounted", root / "image"
    for folder in (mounted, image / "data"):
        folder.mkdir(parents=True)
    for number in range(cuts):
        after, told = root / f"after-{number}", root / f"told-{number}"
        with disk(mounted, image, after, chance.randrange(1 << 30)) as server:
            nursery.begin("live", str(mounted / "data"), str(told), f"c{number}", "", ROUNDS)
            deadline = time.monotonic() + 60
            while not told.exists() or not told.stat().st_size:
                assert time.monotonic() < deadline, "nothing was acknowledged"
                time.sleep(0.01)
            time.sleep(chance.uniform(0, 1))
            server.send_signal(signal.SIGUSR1)
            assert server.wait(60) == 0
            nursery.kill()  # without its disk it would try again for ever
            nursery.end()
        expected |= acknowledged(told)
        shutil.copytree(after / "data", root / "checked")
        settle(root / "checked", expected, torn=True)
        shutil.rmtree(root / "checked")
        shutil.rmtree(image)
        image = after


def test_what_was_acknowledged_survives_power_cuts(nursery: Nursery, tmp_path: Path) -> None:
    cut_power(nursery, tmp_path, cuts=10, seed=1)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(2, 7))
def test_what_was_acknowledged_survives_many_power_cuts(nursery: Nursery, tmp_path: Path, seed: int) -> None:
    cut_power(nursery, tmp_path, cuts=20, seed=seed)


def test_the_disk_forgets_what_was_not_synced(tmp_path: Path) -> None:
    """The check of the checker: unsynced bytes and names go, synced ones stay."""
    mounted, image = tmp_path / "mounted", tmp_path / "image"
    for folder in (mounted, image):
        folder.mkdir()
    lost = 0
    for seed in range(8):
        after = tmp_path / f"after-{seed}"
        with disk(mounted, image, after, seed) as server:
            (mounted / "synced").write_bytes(b"a" * 10_000)
            for path in (mounted / "synced", mounted):
                fd = os.open(path, os.O_RDONLY)
                os.fsync(fd)
                os.close(fd)
            (mounted / "not").write_bytes(b"b" * 10_000)
            with (mounted / "synced").open("ab") as file:
                file.write(b"c" * 10_000)
            assert (mounted / "synced").read_bytes() == b"a" * 10_000 + b"c" * 10_000
            server.send_signal(signal.SIGUSR1)
            assert server.wait(60) == 0
        assert (after / "synced").read_bytes()[:10_000] == b"a" * 10_000
        whole = (after / "synced").read_bytes()[10_000:] == b"c" * 10_000
        lost += not whole or not (after / "not").exists() or (after / "not").read_bytes() != b"b" * 10_000
    assert lost >= 4
