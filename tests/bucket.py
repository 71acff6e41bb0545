"""An S3-compatible service on this machine, in a process of its own, with an empty bucket for each who asks."""

from __future__ import annotations

import atexit
import hashlib
import subprocess
import sys
from functools import cache
from typing import Final

from twofold.store.s3 import S3Config

_SERVER: Final = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


@cache
def _address() -> str:
    """Of the service, which ends with this process."""
    command = [sys.executable, "-c", _SERVER]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    atexit.register(server.kill)
    assert server.stdout is not None
    host, port = server.stdout.readline().decode().split()
    return f"http://{host}:{port}"


@cache
def bucket_of(name: str) -> S3Config:
    """The bucket of this name, empty when it is asked for first, and how to reach it."""
    import boto3  # noqa: PLC0415 - half a second, for who needs it

    real = f"telemetry-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    config = S3Config(
        url=f"s3://{real}/twofold",
        endpoint=_address(),
        access_key="test",
        secret_key="test",  # noqa: S106 - the service takes any
    )
    client = boto3.client(
        "s3",
        endpoint_url=config.endpoint,
        region_name=config.region,
        aws_access_key_id=config.access_key,
        aws_secret_access_key=config.secret_key,
    )
    client.create_bucket(Bucket=real)
    client.close()
    return config
