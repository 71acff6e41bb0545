"""The first process: listeners on one event loop, threads for journal, stages and history; the worker is its child."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import uvicorn
from prometheus_client import CollectorRegistry

from twofold.aiops.detect.bands import Bands
from twofold.aiops.detect.explain import Explainer
from twofold.aiops.detect.mining.board import Board
from twofold.aiops.detect.mining.embed import OnnxEncoder
from twofold.aiops.ingest.capture import Capture
from twofold.aiops.ingest.counts import Counts
from twofold.aiops.ingest.ingest import Ingest
from twofold.aiops.ingest.otlp.grpc import GrpcEndpoint
from twofold.aiops.respond.responder import Responder
from twofold.api.app import create_api, create_listener
from twofold.api.auth import Config as GuardConfig
from twofold.api.credentials import bootstrap_admin
from twofold.api.rules import Part
from twofold.api.services import Services
from twofold.app.admission import admission
from twofold.app.child import WorkerProcess
from twofold.app.demo import demo_port
from twofold.app.gauges import StoreMetrics
from twofold.app.logs import quiet_libraries
from twofold.app.models import ModelProcess
from twofold.app.partitions import rescale, wire
from twofold.app.pulse import Parts, Pulses
from twofold.app.remedies import remedies
from twofold.app.runtime import Spare, event_loop, release_objects, settle_objects, take_short_turns, tune_memory
from twofold.app.stores import Stores, lock, open_stores
from twofold.app.token import local_token
from twofold.config import Config, HttpConfig, failpoint
from twofold.errors import ConfigError
from twofold.flow.clock import SteadyClock
from twofold.flow.recorder import Recorder
from twofold.flow.watch import Watch, read_cursor
from twofold.joints.detectors import Released
from twofold.joints.promotions import Promotions
from twofold.mlops.serve.plane import DataPlane
from twofold.mlops.serve.routes import PERMISSIONS as SERVE_PERMISSIONS
from twofold.mlops.serve.routes import routes as serve_routes
from twofold.records.slo import waiting
from twofold.store.failpoints import arm
from twofold.store.kept import KeptTraces

log = logging.getLogger("twofold")

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_CURSOR: Final = "cursors/promotions"


class Server:
    """All parts of the first process, started and stopped in order."""

    def __init__(self, config: Config) -> None:
        _check_exposure(config.http)
        self.config = config
        self._lock = lock(config.home)
        rescale(config)
        self.stores = stores = open_stores(config)
        self.registry = CollectorRegistry()
        self.counts = Counts(self.registry)
        self.capture = Capture(config.capture) if config.capture else None
        self.ingest = Ingest(
            stores.journal,
            stores.catalog,
            self.counts,
            config.ingest,
            capture=self.capture,
            now_ns=SteadyClock(),
            folder=config.home / "ingest",
        )
        self.plane = DataPlane(stores.ledger, stores.blobs, lambda batch: self.ingest.accept_predictions(batch, "main"))
        self.released = Released(stores.ledger, stores.blobs)
        self.secret = bootstrap_admin(stores.ledger)
        runbooks, actions = remedies(config, stores.ledger)
        self.responder = Responder(stores.ledger, runbooks=runbooks, actions=actions, config=config.respond.rules)
        stores.ledger.put(*runbooks)
        begun = datetime.now(UTC)
        stores.ledger.put(*(waiting(slo, begun) for slo in config.slos), merge=lambda new, stored: stored or new)
        self.board = Board(OnnxEncoder(config.logs.model) if config.logs.model else None)
        self.runners, self.sinks = wire(config, stores, self.released, (self.responder.follow,), self.board)
        self.recorder = Recorder(stores.journal, stores.history, stores.catalog, config.recorder)
        self.promotions = Promotions(stores.ledger, stores.journal)
        self.watch = Watch(
            stores.ledger,
            [self.promotions.follow, self._reload],
            after=_cursor(stores),
            save=lambda seq: stores.blobs.put(_CURSOR, str(seq).encode()),
        )
        self.worker = WorkerProcess(config)
        self.pulses = Pulses(
            Parts(
                runners=self.runners,
                sinks=self.sinks,
                recorder=self.recorder,
                plane=self.plane,
                worker=self.worker,
                journal=stores.journal,
            ),
            self.registry,
        )
        self.spare = Spare()
        self.registry.register(StoreMetrics(stores))

    def services(self) -> Services:
        """What routes call."""
        return Services(
            ledger=self.stores.ledger,
            history=self.stores.history,
            catalog=self.stores.catalog,
            responder=self.responder,
            models=ModelProcess(self.stores.ledger, self.stores.blobs, self.config.detectors),
            demo=demo_port(self.config.demo),
            pulse=self.pulses,
            templates=self.board,
            kept=KeptTraces(self.stores.ledger, self.stores.history, self.stores.blobs),
            explain=Explainer(self.stores.history, self.released.panel_of),
            bands=Bands(self.stores.history, lambda: self.released.panel().config),
            registry=self.registry,
            promql=self.config.promql,
            slos=frozenset(slo.name for slo in self.config.slos),
        )

    def parts(self, *, otlp_only: bool) -> list[Part]:
        """Receivers and inference, each route with its permission."""
        from starlette.applications import Starlette  # noqa: PLC0415 - only wiring needs the class

        receivers = Starlette(routes=self.ingest.routes(otlp_only=otlp_only))
        wanted = {route.path for route in self.ingest.routes(otlp_only=otlp_only)}
        permissions = {key: p for key, p in self.ingest.permissions().items() if key.partition(" ")[2] in wanted}
        found = [Part(app=receivers, permissions=permissions)]
        if not otlp_only:
            inference = Starlette(routes=serve_routes(self.plane))
            found.append(
                Part(app=inference, permissions={f"{method} {path}": p for method, path, p in SERVE_PERMISSIONS})
            )
        return found

    def start(self) -> None:
        """Begin all threads and the worker."""
        self.released.ensure()
        for runner in self.runners:
            runner.start()
        self.recorder.start()
        self.plane.start()
        self.watch.start()
        self.pulses.start()
        self.spare.start()
        self.worker.start()

    def stop(self) -> None:
        """Stop in the order of the flow, so that what was accepted is carried as far as it can."""
        self.pulses.stop()
        self.spare.stop()
        self.watch.stop()
        self.plane.close()
        for runner in self.runners:
            runner.stop()
        self.recorder.stop()
        self.worker.stop()
        if self.capture is not None:
            self.capture.close()
        self.stores.close()
        self._lock.close()

    def _reload(self, changes: Sequence[Any]) -> None:
        """A detector went live: pipelines are built anew around their state."""
        if any(change.table == "releases" for change in changes) and self.released.refresh():
            for runner in self.runners:
                runner.rebuild()


class _Listener(uvicorn.Server):
    """One of several listeners in the process: signals are ours.

    Attributes:
        accepts: Set once its socket takes connections.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepts = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepts.set()


def run(config: Config) -> None:
    """Serve until SIGTERM or Ctrl-C. Raises `ConfigError` or `Conflict` before anything is bound."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    quiet_libraries()
    begun = time.monotonic()
    arm(failpoint())
    tune_memory()
    take_short_turns()
    server = Server(config)
    try:
        with asyncio.Runner(loop_factory=event_loop()) as runner:
            runner.run(_serve(server, begun))
    finally:
        server.stop()
        del server
        release_objects()


async def _serve(server: Server, begun: float) -> None:
    http = server.config.http
    guard = GuardConfig(hosts=http.hosts, loopback_open=not http.telemetry_token)
    services = server.services()
    listeners = [(create_api(services, guard, server.parts(otlp_only=False)), http.port)]
    if http.otlp_port:
        listeners.append((create_listener(services, guard, server.parts(otlp_only=True)), http.otlp_port))
    sockets = [_bind(http.host, port) for _, port in listeners]
    if http.otlp_grpc_port:
        endpoint = GrpcEndpoint(
            host=http.host, port=http.otlp_grpc_port, certificate=http.tls_certificate, key=http.tls_key
        )
        server.ingest.listen_grpc(endpoint, admission(listeners[0][0]))
    await asyncio.to_thread(server.start)
    await server.ingest.start()
    servers = [_Listener(_uvicorn(app, http)) for app, _ in listeners]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    tasks = [asyncio.create_task(one.serve([bound])) for one, bound in zip(servers, sockets, strict=True)]
    url = f"{'https' if http.tls_certificate else 'http'}://{http.host}:{sockets[0].getsockname()[1]}"
    ended = [asyncio.ensure_future(each) for each in (stop.wait(), *tasks)]
    accept = asyncio.create_task(_all_accept(servers))
    await asyncio.wait([accept, *ended], return_when=asyncio.FIRST_COMPLETED)
    if accept.done():
        _announce(server, url, begun)
        settle_objects()
    accept.cancel()
    await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
    for one in servers:
        one.should_exit = True
    await asyncio.gather(*tasks)
    await server.ingest.stop()


async def _all_accept(servers: Sequence[_Listener]) -> None:
    for one in servers:
        await one.accepts.wait()


def _uvicorn(app: Any, http: HttpConfig) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=5,
        ssl_certfile=str(http.tls_certificate) if http.tls_certificate else None,
        ssl_keyfile=str(http.tls_key) if http.tls_key else None,
        server_header=False,
    )


def _bind(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise ConfigError(f"port {port} on {host} cannot be bound: {error.strerror}; choose another") from error
    return bound


def _announce(server: Server, url: str, begun: float) -> None:
    """Tell the owner where it is, and write the token that local commands use, for the owner alone."""
    path = server.config.home / "client.json"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump({"url": url, "token": local_token(server.stores.ledger)}, file)
    print(f"Twofold is at {url}  (ready in {time.monotonic() - begun:.1f} s, data in {server.config.home})", flush=True)  # noqa: T201 - the command's answer
    if server.secret:
        print(f"Log in as admin with the one-time secret {server.secret}", flush=True)  # noqa: T201 - shown once


def _cursor(stores: Stores) -> int:
    return read_cursor(stores.blobs, _CURSOR)


def _check_exposure(http: HttpConfig) -> None:
    if http.host in _LOOPBACK or http.behind_proxy:
        return
    if not (http.tls_certificate and http.tls_key):
        raise ConfigError(
            f"http.host is {http.host}, which others can reach: set http.tls_certificate and http.tls_key, "
            "or http.behind_proxy when a proxy in front ends TLS",
            setting="http.host",
        )
    if not http.telemetry_token:
        raise ConfigError("beyond loopback telemetry needs tokens: set http.telemetry_token", setting="http.host")
