"""`python -m demo.control`: the shop with everything it needs, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import secrets
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import uvicorn

from ..lifeline import follow_stdin
from ..shop.config import Config
from ..shop.names import FEEDS, SERVICES, STABLE_VERSION, WITHOUT_PORT
from .api import Api
from .changes import Announcer
from .processes import Port, Service, Supervisor
from .room import Room
from .truth import Truth


def main() -> None:
    """Parse the arguments and run until SIGTERM, Ctrl-C or, with --follow-stdin, the end of standard input."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    asyncio.run(_run(_arguments()))


def _arguments() -> argparse.Namespace:
    given = os.environ
    parser = argparse.ArgumentParser(prog="python -m demo.control", description=__doc__)
    parser.add_argument("--twofold", default=given.get("TWOFOLD_URL", "http://127.0.0.1:7070"), help="Twofold's URL")
    parser.add_argument("--otlp", default="", help="where OTLP/HTTP goes; default: the same URL")
    parser.add_argument("--data", type=Path, default=Path(".twofold/demo"), help="folder of the shop's files")
    parser.add_argument("--port", type=int, default=0, help="port of the control, 0 for a free one")
    parser.add_argument("--base-port", type=int, default=0, help="first of the services' ports, 0 for free ones")
    parser.add_argument("--rate", type=float, default=5.0, help="requests a second of the load")
    parser.add_argument("--follow-stdin", action="store_true", help="stop at the end of standard input")
    parser.set_defaults(
        token=given.get("DEMO_TOKEN") or secrets.token_urlsafe(24), twofold_token=given.get("TWOFOLD_TOKEN", "")
    )
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if arguments.follow_stdin:
        follow_stdin(lambda _: None, grace_s=3.0)
    port = Port(arguments.port)
    truth = Truth(arguments.data / "truth.jsonl")
    supervisor = _supervisor(arguments)
    announcer = Announcer(arguments.twofold, arguments.twofold_token)
    room = Room(supervisor, announcer, truth)
    try:
        await _until(stop, supervisor.start())
        if not stop.is_set():
            _say(arguments, port)
            await _serve(Api(arguments.token, room, supervisor, truth), port, stop)
    finally:
        await room.close()
        await supervisor.stop()
        await announcer.close()


def _supervisor(arguments: argparse.Namespace) -> Supervisor:
    first = arguments.base_port
    ports = {
        name: Port(first + place if first else 0)
        for place, name in enumerate(name for name in SERVICES if name not in WITHOUT_PORT)
    }
    data: Path = arguments.data.resolve()
    peers = {name: port.url for name, port in ports.items()}
    twofold = arguments.twofold.rstrip("/")
    services: dict[str, Service] = {}
    supervisor = Supervisor(services)
    for name in SERVICES:
        config = Config(
            service=name,
            version=STABLE_VERSION,
            port=ports[name].number if name in ports else 0,
            data=str(data / name),
            queue=str(data / "queue" / "orders.sqlite"),
            peers=peers,
            otlp_url=(arguments.otlp or twofold).rstrip("/"),
            twofold_url=twofold,
            token=arguments.twofold_token,
            rate=arguments.rate,
            feeds=dict.fromkeys(FEEDS, 1),
            parent=os.getpid(),
        )
        services[name] = Service(config, data / "logs", supervisor.revive)
    return supervisor


async def _until(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Wait for `work`, but no longer than until `stop`."""
    task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not task.done():
        task.cancel()
    elif error := task.exception():
        raise SystemExit(str(error))


async def _serve(api: Api, port: Port, stop: asyncio.Event) -> None:
    config = uvicorn.Config(
        api, lifespan="off", http="httptools", ws="none", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    await _until(stop, server.serve(sockets=[port.listen()]))


def _say(arguments: argparse.Namespace, port: Port) -> None:
    """Print where the control listens, for people and programs, and keep it in a file for this user only."""
    text = json.dumps({"url": port.url, "token": arguments.token, "pid": os.getpid()})
    file = arguments.data / "control.json"
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
