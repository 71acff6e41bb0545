"""The receivers in a process of their own, for tests that crowd them from outside and look at how others fare."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self

import httpx

from tests.fault.up import wait_for

_ROOT: Final = Path(__file__).parents[2]
PROTOBUF: Final = {"content-type": "application/x-protobuf"}
TENANT: Final = "x-test-tenant"


class Crowded(contextlib.AbstractContextManager["Crowded"]):
    """Receivers over a journal and a catalog in one folder, behind a real socket, with warm kernels.

    Args:
        limit: Series of a tenant.
    """

    def __init__(self, root: Path, limit: int) -> None:
        command = [sys.executable, "-c", f"from tests.fault.crowded import serve; serve({str(root)!r}, {limit})"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT, text=True)

    def __enter__(self) -> Self:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the receivers did not start"
        self.port = int(line)
        try:
            wait_for(self._warm, 300)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _warm(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return bool(self.facts()["cold"] == 0)
        return False

    def facts(self) -> dict[str, Any]:
        """What the receivers know of themselves: bytes of memory, series by tenant, totals."""
        found: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.port}/facts", trust_env=False).json()
        return found

    def sender(self, tenant: str) -> Sender:
        """A connection of a tenant's."""
        return Sender(self.port, tenant)

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(120)
        finally:
            self._process.kill()
            if self._process.stdout is not None:
                self._process.stdout.close()


class Sender:
    """One connection that posts metrics."""

    def __init__(self, port: int, tenant: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {**PROTOBUF, TENANT: tenant}

    def send(self, body: bytes) -> float:
        """Post one request; the seconds until its good answer."""
        begun = time.perf_counter()
        self._connection.request("POST", "/v1/metrics", body, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content[:200]
        return time.perf_counter() - begun

    def send_while(self, holds: Callable[[], bool], body: bytes, pause_s: float) -> list[float]:
        """Post again and again; the seconds that each answer took."""
        found = []
        while holds():
            found.append(self.send(body))
            time.sleep(pause_s)
        return found

    def close(self) -> None:
        self._connection.close()


class Bomb(threading.Thread):
    """Bodies from several connections at a steady rate, as long as `lit` is set.

    Args:
        every_s: Time from one body to the next, over all connections.
    """

    def __init__(self, crowded: Crowded, tenant: str, bodies: Sequence[bytes], every_s: float, senders: int) -> None:
        super().__init__(daemon=True)
        self.lit = threading.Event()
        self.failures: list[BaseException] = []
        self._shares = [bodies[number::senders] for number in range(senders)]
        self._every_s = every_s * senders
        self._connections = [crowded.sender(tenant) for _ in self._shares]

    def run(self) -> None:
        """Send everything."""
        threads = [
            threading.Thread(target=self._send, args=pair, daemon=True)
            for pair in zip(self._connections, self._shares, strict=True)
        ]
        for each in threads:
            each.start()
        for each in threads:
            each.join()

    def _send(self, sender: Sender, bodies: Sequence[bytes]) -> None:
        try:
            for body in bodies:
                self.lit.wait()
                time.sleep(max(0.0, self._every_s - sender.send(body)))
        except BaseException as error:  # noqa: BLE001 - told by the test
            self.failures.append(error)
        finally:
            sender.close()


def serve(folder: str, limit: int) -> None:
    """The process: prints its port, serves until SIGINT."""
    import uvicorn  # noqa: PLC0415 - for this process alone
    from starlette.applications import Starlette  # noqa: PLC0415
    from starlette.responses import JSONResponse  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    from twofold.aiops.ingest.config import IngestConfig  # noqa: PLC0415
    from twofold.aiops.ingest.counts import Counts, Item  # noqa: PLC0415
    from twofold.aiops.ingest.ingest import Ingest  # noqa: PLC0415
    from twofold.aiops.ingest.receiver import TENANT_KEY  # noqa: PLC0415
    from twofold.app.runtime import take_short_turns  # noqa: PLC0415
    from twofold.store.catalog.files import FileCatalog  # noqa: PLC0415
    from twofold.store.journal.segments import SegmentJournal  # noqa: PLC0415

    take_short_turns()
    root, counts = Path(folder), Counts()
    journal, catalog = SegmentJournal(root / "journal"), FileCatalog(root / "catalog", limit_per_tenant=limit)
    ingest = Ingest(journal, catalog, counts, IngestConfig())

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await ingest.start()
        yield
        await ingest.stop()

    def facts(_: object) -> JSONResponse:
        total = counts.total(Item.POINTS)
        return JSONResponse(
            {
                "rss_bytes": int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"),
                "series": {name: catalog.count(tenant=name) for name in ("main", "other")},
                "received": total.received,
                "stored": total.stored,
                "rejected": dict(total.rejected),
                "cold": counts.registry.get_sample_value("twofold_ingest_cold_kernels"),
                "balanced": not counts.imbalance(),
            }
        )

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    app = Starlette(routes=[*ingest.routes(), Route("/facts", facts)], lifespan=lifespan)

    async def of_tenant(scope: Any, receive: Any, send: Any) -> None:
        """As the auth layer does: the tenant of a caller, here by a header."""
        if scope["type"] == "http":
            scope[TENANT_KEY] = dict(scope["headers"]).get(TENANT.encode(), b"main").decode()
        await app(scope, receive, send)

    print(listener.getsockname()[1], flush=True)  # noqa: T201 - what its parent waits for
    uvicorn.Server(uvicorn.Config(of_tenant, log_level="warning", lifespan="on")).run(sockets=[listener])
    journal.close()
