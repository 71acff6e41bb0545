"""The API over a real ledger, catalog and history, with ports that write down what they were asked."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from twofold.api.app import create_api
from twofold.api.auth import TENANT_KEY, Config, Guard
from twofold.api.credentials import API, SESSION, hash_secret, issue_token
from twofold.api.rules import ALL_SCOPES, Part
from twofold.api.services import DemoState, Fault, Services
from twofold.errors import Conflict, NotFound
from twofold.joints.rehearsals import rehearsal
from twofold.joints.rule_sets import import_rules, rules_of
from twofold.joints.trust import Trusts
from twofold.records.access import Permission, Role, Setting, User
from twofold.records.columns import LOGS, SAMPLES, SPANS
from twofold.records.frame import Frame, FrameKind, Position
from twofold.records.model import ModelKind, ModelVersion, Release, ReleaseStage
from twofold.records.runbook import Execution, ExecutionState, StepState
from twofold.records.shadow import Rehearsal
from twofold.records.time import to_ns
from twofold.records.trust import Trust
from twofold.store.blobs import Blobs
from twofold.store.blobs.files import FileBlobs
from twofold.store.catalog.files import FileCatalog
from twofold.store.history import Table
from twofold.store.history.delta import DeltaHistory
from twofold.store.journal.codec import encode_batch
from twofold.store.ledger.sql import SqlLedger, open_ledger
from twofold.store.promql import Limits

SECRET = "correct horse battery"  # noqa: S105 - a test's secret
NOW = datetime.now(UTC).replace(microsecond=0)
FORMS = {Table.SAMPLES: SAMPLES, Table.LOGS: LOGS, Table.SPANS: SPANS}
KINDS = {Table.SAMPLES: FrameKind.SAMPLES, Table.LOGS: FrameKind.LOGS, Table.SPANS: FrameKind.SPANS}


class Telemetry(DeltaHistory):
    """The real history, written to directly."""

    def add(self, table: Table, *rows: Mapping[str, Any]) -> None:
        """Take rows of the tenant `main`."""
        batch = pa.RecordBatch.from_pylist([dict(row) for row in rows], schema=FORMS[table])
        frame = Frame(kind=KINDS[table], payload=encode_batch(batch), time_ns=to_ns(NOW), rows=len(rows))
        self.written = getattr(self, "written", 0) + 1
        self.append(0, [(Position(0, self.written), frame)])


@dataclass
class Asked:
    """Stands for responder, models and demo: answers plausibly and remembers the calls."""

    ledger: SqlLedger
    blobs: Blobs
    calls: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    broken: bool = False

    def propose(self, **asked: Any) -> Execution:
        self.calls.append(("propose", asked))
        return an_execution(requester=asked["requester"], runbook=asked["runbook"], dry_run=asked["dry_run"])

    def approve(self, execution: str, **asked: Any) -> Execution:
        self.calls.append(("approve", {"execution": execution} | asked))
        found = self.ledger.get(Execution, execution, tenant=asked["tenant"])
        if asked["approval_hash"] != found.approval_hash:
            raise Conflict("what was approved is not what stands here now; look again")
        return replace(found, state=ExecutionState.APPROVED, approver=asked["approver"])

    def reject(self, execution: str, **asked: Any) -> Execution:
        self.calls.append(("reject", {"execution": execution} | asked))
        return an_execution(id=execution, state=ExecutionState.REJECTED)

    def decide(self, execution: str, *, outcome: StepState, **asked: Any) -> Execution:
        self.calls.append(("decide", {"execution": execution, "outcome": outcome} | asked))
        return an_execution(id=execution)

    def kill_switch(self, *, tenant: str) -> Setting | None:
        found = self.ledger.find(Setting, tenant=tenant, where={"id": "kill-switch"})
        return found[0] if found else None

    def set_kill_switch(self, *, engaged: bool, actor: str, tenant: str) -> Setting:
        value = "engaged" if engaged else "released"
        setting = Setting(id="kill-switch", value=value, changed=NOW, author=actor, tenant=tenant)
        self.ledger.put(setting)
        return setting

    def release(self, model: str, **asked: Any) -> Release:
        self.calls.append(("release", {"model": model} | asked))
        return a_release(model=model, version=asked["version"], stage=asked["stage"], approver=asked["actor"])

    def rollback(self, model: str, **asked: Any) -> Release:
        self.calls.append(("rollback", {"model": model} | asked))
        return a_release(model=model, stage=ReleaseStage.ROLLED_BACK)

    def rehearsal(self, model: str, *, version: str, tenant: str) -> Rehearsal:
        return rehearsal(self.ledger, model, version, tenant=tenant, now=NOW)

    def trust(self, model: str, *, tenant: str) -> Trust | None:
        return Trusts(self.ledger, now=lambda: NOW).judge(model, tenant=tenant)

    def configure(self, model: str, settings: Mapping[str, Any], **asked: Any) -> ModelVersion:
        self.calls.append(("configure", {"model": model, "settings": settings} | asked))
        return ModelVersion(
            id=f"{model}@2",
            model=model,
            version="2",
            kind=ModelKind.DETECTOR,
            format="config",
            artifact="sha256/x",
            artifact_sha256="x",
            created=NOW,
            description=asked["description"],
        )

    def import_rules(self, name: str, text: str, **asked: Any) -> ModelVersion:
        return import_rules(
            self.ledger,
            self.blobs,
            name,
            text,
            description=asked["description"],
            owner=asked["actor"],
            tenant=asked["tenant"],
        )

    def rules(self, version: ModelVersion) -> str:
        return rules_of(self.ledger, self.blobs, version)

    def train(self, project: str, **asked: Any) -> str:
        self.calls.append(("train", {"project": project} | asked))
        return "run-1"

    def state(self) -> DemoState:
        fault = Fault(name="latency", title="Latency", description="slow", active=self.broken, since=1.0)
        return DemoState(available=True, faults=(fault,), services=("cart",))

    def break_fault(self, name: str, *, seconds: float | None) -> None:
        if name != "latency":
            raise NotFound(f"no fault {name!r}")
        self.calls.append(("break", {"name": name, "seconds": seconds}))
        self.broken = True

    def mend_fault(self, name: str) -> None:
        self.calls.append(("mend", {"name": name}))
        self.broken = False


def an_execution(**changes: Any) -> Execution:
    """One that waits for approval."""
    execution = Execution(
        id="e1",
        runbook="restart",
        title="Restart cart",
        incident="i1",
        state=ExecutionState.PROPOSED,
        targets=("service:cart",),
        arguments={"entity": "service:cart"},
        approval_hash="a" * 64,
        expires=NOW + timedelta(minutes=5),
        created=NOW,
    )
    return replace(execution, **changes)


def a_release(**changes: Any) -> Release:
    """Version 1 of the ranker, live."""
    release = Release(
        id="ranker-1",
        model="ranker",
        version="1",
        stage=ReleaseStage.LIVE,
        seq=1,
        time=NOW,
        weight=1.0,
        previous="",
        approver="mia",
        reason="first",
    )
    return replace(release, **changes)


@dataclass
class World:
    """Everything behind one API, and clients in front of it."""

    api: Guard
    services: Services
    ledger: SqlLedger
    history: Telemetry
    catalog: FileCatalog
    asked: Asked

    def close(self) -> None:
        """Release files."""
        self.history.close()
        self.ledger.close()

    def user(self, role: Role, tenant: str = "main") -> User:
        """The user of this role, named after it."""
        found = self.ledger.find(User, tenant=tenant, where={"id": role.value})
        if found:
            return found[0]
        user = User(id=role.value, name=role.value, role=role, secret_hash=_secret_hash(), created=NOW, tenant=tenant)
        self.ledger.put(user)
        return user

    def token(self, role: Role, *, scopes: Sequence[str] = (ALL_SCOPES,), tenant: str = "main") -> str:
        """A token of the user of this role."""
        user = self.user(role, tenant)
        return issue_token(self.ledger, user, name="test", kind=API, scopes=scopes, lasts_s=None)[1]

    def session(self, role: Role) -> str:
        """A session cookie's text."""
        return issue_token(
            self.ledger, self.user(role), name="session", kind=SESSION, scopes=(ALL_SCOPES,), lasts_s=60.0
        )[1]

    @asynccontextmanager
    async def client(
        self,
        role: Role | None = None,
        *,
        address: str = "127.0.0.1",
        headers: Mapping[str, str] | None = None,
        tenant: str = "main",
    ) -> AsyncIterator[httpx.AsyncClient]:
        """An HTTP client with a token of this role."""
        sent = dict(headers or {})
        if role is not None:
            sent["authorization"] = f"Bearer {self.token(role, tenant=tenant)}"
        transport = httpx.ASGITransport(self.api, client=(address, 40000))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7070", headers=sent) as client:
            yield client

    def ask(self, method: str, path: str, role: Role | None = None, **kind: Any) -> httpx.Response:
        """One request; `address`, `headers` and `tenant` belong to the client, the rest to the request."""
        client_kind = {name: kind.pop(name) for name in ("address", "headers", "tenant") if name in kind}

        async def go() -> httpx.Response:
            async with self.client(role, **client_kind) as client:
                return await client.request(method, path, **kind)

        return asyncio.run(go())


async def _echo(request: Request) -> JSONResponse:
    return JSONResponse({"tenant": request.scope[TENANT_KEY], "caller": request.state.identity.name})


def receivers() -> Part:
    """A part like the receivers and the inference plane: tells who came through."""
    app = Starlette(
        routes=[
            Route("/v1/metrics", _echo, methods=["POST"]),
            Route("/v2/models/{model}/infer", _echo, methods=["POST"]),
            Route("/v2/health/live", _echo),
        ]
    )
    return Part(
        app=app,
        permissions={
            "POST /v1/metrics": Permission.SEND,
            "POST /v2/models/{model}/infer": Permission.INFER,
            "GET /v2/health/live": Permission.PUBLIC,
        },
    )


@cache
def _empty_ledger() -> bytes:
    """The file of a ledger without records: migrating once is enough for all worlds."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        open_ledger(path).close()
        return path.read_bytes()


@cache
def _secret_hash() -> str:
    return hash_secret(SECRET)


def build_world(folder: Path, config: Config | None = None, promql: Limits | None = None) -> World:
    """A new, empty one."""
    (folder / "ledger.sqlite").write_bytes(_empty_ledger())
    ledger = open_ledger(folder / "ledger.sqlite")
    catalog = FileCatalog(folder / "catalog")
    history = Telemetry(folder / "history")
    asked = Asked(ledger, FileBlobs(folder / "blobs"))
    services = Services(
        ledger=ledger,
        history=history,
        catalog=catalog,
        responder=asked,
        models=asked,
        demo=asked,
        promql=promql or Limits(),
    )
    api = create_api(services, config, [receivers()])
    return World(api=api, services=services, ledger=ledger, history=history, catalog=catalog, asked=asked)
