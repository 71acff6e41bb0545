"""The first tables: one a record type, and the change feed."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TEXT = sa.Text
TABLES: dict[str, dict[str, type[sa.types.TypeEngine[Any]]]] = {
    "entities": {"kind": TEXT, "name": TEXT},
    "edges": {"source": TEXT, "target": TEXT, "relation": TEXT},
    "events": {"kind": TEXT, "entity": TEXT, "change": TEXT, "source": TEXT},
    "findings": {"entity": TEXT, "series": TEXT, "metric": TEXT, "state": TEXT, "detector": TEXT},
    "alerts": {
        "fingerprint": TEXT,
        "entity": TEXT,
        "signal": TEXT,
        "state": TEXT,
        "severity": TEXT,
        "incident": TEXT,
        "source": TEXT,
        "backfilled": sa.Boolean,
    },
    "incidents": {"state": TEXT, "severity": TEXT, "owner": TEXT, "backfilled": sa.Boolean},
    "timeline": {"incident": TEXT, "kind": TEXT, "entity": TEXT, "ref": TEXT},
    "diagnoses": {"incident": TEXT, "ranker": TEXT},
    "runbooks": {},
    "executions": {"runbook": TEXT, "incident": TEXT, "state": TEXT, "requester": TEXT, "dry_run": sa.Boolean},
    "projects": {"model": TEXT, "owner": TEXT, "kind": TEXT},
    "dataset_versions": {"dataset": TEXT, "sha256": TEXT},
    "runs": {"project": TEXT, "model": TEXT, "state": TEXT, "dataset": TEXT},
    "model_versions": {"model": TEXT, "version": TEXT, "kind": TEXT, "run": TEXT, "dataset": TEXT},
    "releases": {"model": TEXT, "version": TEXT, "stage": TEXT, "seq": sa.BigInteger},
    "verdicts": {"subject": TEXT, "ref": TEXT, "incident": TEXT, "value": TEXT, "author": TEXT},
    "users": {"name": TEXT, "role": TEXT, "disabled": sa.Boolean},
    "tokens": {"user": TEXT, "kind": TEXT, "sha256": TEXT, "revoked": sa.Boolean},
    "audit": {"seq": sa.BigInteger, "actor": TEXT, "action": TEXT, "target": TEXT},
    "settings": {},
}


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "changes",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("record_table", sa.Text, nullable=False),
        sa.Column("record_id", sa.Text, nullable=False),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.UniqueConstraint("tenant", "record_table", "record_id", name="changes_record"),
        sqlite_autoincrement=True,
    )
    for name, keys in TABLES.items():
        op.create_table(
            name,
            sa.Column("tenant", sa.Text, primary_key=True),
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("at_us", sa.BigInteger, nullable=False),
            sa.Column("body", sa.Text, nullable=False),
            *(sa.Column(key, kind()) for key, kind in keys.items()),
        )
        op.create_index(f"{name}_at", name, ["tenant", "at_us", "id"])
        for key in keys:
            op.create_index(f"{name}_{key}", name, ["tenant", key, "at_us"])
