"""Incidents can be told from those that others took over."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INCIDENTS = sa.table(
    "incidents", sa.column("tenant"), sa.column("id"), sa.column("body"), sa.column("merged_into", sa.Text)
)


def upgrade() -> None:
    """Add the key column and fill it from the records."""
    op.add_column("incidents", sa.Column("merged_into", sa.Text))
    op.create_index("incidents_merged_into", "incidents", ["tenant", "merged_into", "at_us"])
    connection = op.get_bind()
    for tenant, key, body in connection.execute(sa.select(INCIDENTS.c.tenant, INCIDENTS.c.id, INCIDENTS.c.body)).all():
        mine = (INCIDENTS.c.tenant == tenant) & (INCIDENTS.c.id == key)
        merged_into = str(json.loads(body).get("merged_into", ""))
        connection.execute(sa.update(INCIDENTS).where(mine).values(merged_into=merged_into))
