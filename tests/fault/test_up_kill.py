"""Promises P1 and P5 of the whole program: what was acknowledged is there, once, whenever it was killed."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.fault.traffic import BUSY, Told, senders
from tests.fault.up import Up, free_ports


def kill_again_and_again(home: Path, kills: int, seed: int) -> None:
    """Start, send, kill at a random moment; at the end everything acknowledged is there, once."""
    up, told = Up(home, BUSY), Told()
    moments = random.Random(seed)  # noqa: S311 - moments to kill at, repeatable
    try:
        for number in range(kills + 1):
            up.start()
            sending = senders(up, f"k{number}")
            time.sleep(moments.uniform(0.2, 2.5))
            if number < kills:
                up.kill()
            told.end(sending)
        told.check(up)
    finally:
        up.stop()


def test_what_was_acknowledged_is_there_once_however_often_it_is_killed(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, kills=5, seed=11)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_many_kills(tmp_path: Path) -> None:
    kill_again_and_again(tmp_path, kills=60, seed=12)


def test_who_reads_the_address_can_connect(tmp_path: Path) -> None:
    """It is printed once both sockets take connections, not before."""
    port, otlp_port = free_ports(2)
    settings = tmp_path / "twofold.yaml"
    settings.write_text(yaml.safe_dump({"http": {"port": port, "otlp_port": otlp_port, "otlp_grpc_port": 0}}))
    command = [sys.executable, "-m", "twofold", "up", "--data", str(tmp_path / "data"), "--config", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            assert f"http://127.0.0.1:{port}" in process.stdout.readline()
            for each in (port, otlp_port):
                socket.create_connection(("127.0.0.1", each), timeout=5).close()
        finally:
            process.terminate()
            process.communicate(timeout=60)
    assert process.returncode == 0
