"""The ledger's tables: one a record type. Key columns are what can be filtered; the record itself is JSON.

To add a record type: a `Spec` here and a migration that creates its table; a test compares the two.
"""

from __future__ import annotations

import typing
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Any, Final

import sqlalchemy as sa

from twofold.errors import InputError
from twofold.records.access import Audit, Setting, Token, User
from twofold.records.alert import Alert
from twofold.records.backtest import Backtest
from twofold.records.diagnosis import Diagnosis
from twofold.records.entity import Edge, Entity
from twofold.records.event import Event
from twofold.records.finding import Finding
from twofold.records.forecast import Forecast
from twofold.records.incident import Incident, TimelineEntry
from twofold.records.model import DatasetVersion, ModelVersion, Project, Release, Run
from twofold.records.runbook import Execution, Runbook
from twofold.records.shadow import ShadowFinding, ShadowPage, ShadowTime
from twofold.records.slo import SloStatus
from twofold.records.time import to_ns
from twofold.records.verdict import Verdict

METADATA: Final = sa.MetaData()

CHANGES: Final = sa.Table(
    "changes",
    METADATA,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("record_table", sa.Text, nullable=False),
    sa.Column("record_id", sa.Text, nullable=False),
    sa.Column("tenant", sa.Text, nullable=False),
    sa.UniqueConstraint("tenant", "record_table", "record_id", name="changes_record"),
    sqlite_autoincrement=True,
)


def _own_id(record: Any) -> str:
    return str(record.id)


def edge_key(edge: Edge) -> str:
    """The id of an edge: `source|relation|target`."""
    return f"{edge.source}|{edge.relation.value}|{edge.target}"


@dataclass(frozen=True, kw_only=True)
class Spec:
    """How one record type is kept.

    Attributes:
        keys: Fields that are columns of their own, so that they can be filtered.
        time: Field that orders the table; empty when the id orders it.
        append_only: Records are never changed; `seq` below makes it a chain.
        key: The record's id.
    """

    kind: type[Any]
    name: str
    keys: tuple[str, ...] = ()
    time: str = ""
    append_only: bool = False
    key: Callable[[Any], str] = _own_id

    @cached_property
    def table(self) -> sa.Table:
        """The SQL table: tenant, id, key columns, `at_us` (microseconds since the epoch), body."""
        hints = typing.get_type_hints(self.kind)
        return sa.Table(
            self.name,
            METADATA,
            sa.Column("tenant", sa.Text, primary_key=True),
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("at_us", sa.BigInteger, nullable=False),
            sa.Column("body", sa.Text, nullable=False),
            *(sa.Column(name, _column_type(hints[name])) for name in self.keys),
            sa.Index(f"{self.name}_at", "tenant", "at_us", "id"),
            *(sa.Index(f"{self.name}_{name}", "tenant", name, "at_us") for name in self.keys),
        )

    def columns(self, record: Any) -> dict[str, Any]:
        """Everything but the body, as column values."""
        moment: datetime | None = getattr(record, self.time) if self.time else None
        row = {name: column_value(getattr(record, name)) for name in self.keys}
        return row | {
            "tenant": record.tenant,
            "id": self.key(record),
            "at_us": to_ns(moment) // 1000 if moment is not None else 0,
        }


def column_value(value: Any) -> Any:
    """A field's value as it stands in a key column."""
    return value.value if isinstance(value, Enum) else value


def _column_type(hint: Any) -> sa.types.TypeEngine[Any]:
    if hint is bool:
        return sa.Boolean()
    if hint is int:
        return sa.BigInteger()
    return sa.Text()


SPECS: Final = (
    Spec(kind=Entity, name="entities", keys=("kind", "name"), time="last_seen"),
    Spec(kind=Edge, name="edges", keys=("source", "target", "relation"), time="last_seen", key=edge_key),
    Spec(kind=Event, name="events", keys=("kind", "entity", "change", "source"), time="time"),
    Spec(kind=Finding, name="findings", keys=("entity", "series", "metric", "state", "detector"), time="onset"),
    Spec(kind=ShadowFinding, name="shadow_findings", keys=("detector", "entity", "series", "state"), time="onset"),
    Spec(kind=ShadowPage, name="shadow_pages", keys=("detector", "state", "merged_into"), time="detected"),
    Spec(kind=ShadowTime, name="shadow_times", keys=("run",), time="seen"),
    Spec(kind=SloStatus, name="slos", keys=("entity", "state"), time="updated"),
    Spec(kind=Forecast, name="forecasts", keys=("entity", "series", "state", "model"), time="made"),
    Spec(
        kind=Alert,
        name="alerts",
        keys=("fingerprint", "entity", "signal", "state", "severity", "incident", "source", "kind", "backfilled"),
        time="start",
    ),
    Spec(
        kind=Incident,
        name="incidents",
        keys=("state", "severity", "owner", "backfilled", "merged_into"),
        time="detected",
    ),
    Spec(
        kind=TimelineEntry,
        name="timeline",
        keys=("incident", "kind", "entity", "ref"),
        time="time",
        append_only=True,
    ),
    Spec(kind=Diagnosis, name="diagnoses", keys=("incident", "ranker"), time="time"),
    Spec(kind=Runbook, name="runbooks"),
    Spec(
        kind=Execution,
        name="executions",
        keys=("runbook", "incident", "state", "requester", "dry_run"),
        time="created",
    ),
    Spec(kind=Project, name="projects", keys=("model", "owner", "kind")),
    Spec(kind=DatasetVersion, name="dataset_versions", keys=("dataset", "sha256"), time="created"),
    Spec(kind=Run, name="runs", keys=("project", "model", "state", "dataset"), time="started"),
    Spec(kind=ModelVersion, name="model_versions", keys=("model", "version", "kind", "run", "dataset"), time="created"),
    Spec(kind=Release, name="releases", keys=("model", "version", "stage", "seq"), time="time", append_only=True),
    Spec(
        kind=Verdict,
        name="verdicts",
        keys=("subject", "ref", "incident", "value", "author"),
        time="time",
        append_only=True,
    ),
    Spec(kind=User, name="users", keys=("name", "role", "disabled"), time="created"),
    Spec(kind=Token, name="tokens", keys=("user", "kind", "sha256", "revoked"), time="created"),
    Spec(kind=Audit, name="audit", keys=("seq", "actor", "action", "target"), time="time", append_only=True),
    Spec(kind=Backtest, name="backtests", keys=("model", "version", "state", "requester"), time="created"),
    Spec(kind=Setting, name="settings", time="changed"),
)

_BY_KIND: Final = {spec.kind: spec for spec in SPECS}
TABLES: Final = tuple(spec.table for spec in SPECS)


def spec_of(kind: type[Any]) -> Spec:
    """How a record type is kept. Raises `InputError` for a type that has no table."""
    if found := _BY_KIND.get(kind):
        return found
    raise InputError(f"{kind.__name__} has no table in the ledger; see store/ledger/tables.py", reason="no_table")
