"""How service level objectives stand."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
KEYS = ("entity", "state")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "slos",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        *(sa.Column(key, sa.Text) for key in KEYS),
    )
    op.create_index("slos_at", "slos", ["tenant", "at_us", "id"])
    for key in KEYS:
        op.create_index(f"slos_{key}", "slos", ["tenant", key, "at_us"])
