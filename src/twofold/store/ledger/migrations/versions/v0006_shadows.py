"""What shadows claim, and alerts of predictions beside those of what was observed."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
TABLES = {
    "shadow_findings": ("detector", "entity", "series", "state"),
    "shadow_pages": ("detector", "state", "merged_into"),
}


def upgrade() -> None:
    """Add the tables, and the kind of an alert."""
    for name, keys in TABLES.items():
        op.create_table(
            name,
            sa.Column("tenant", sa.Text, primary_key=True),
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("at_us", sa.BigInteger, nullable=False),
            sa.Column("body", sa.Text, nullable=False),
            *(sa.Column(key, sa.Text) for key in keys),
        )
        op.create_index(f"{name}_at", name, ["tenant", "at_us", "id"])
        for key in keys:
            op.create_index(f"{name}_{key}", name, ["tenant", key, "at_us"])
    op.add_column("alerts", sa.Column("kind", sa.Text))
    op.execute("UPDATE alerts SET kind = 'observed'")
    op.create_index("alerts_kind", "alerts", ["tenant", "kind", "at_us"])
