"""What detector versions would have done is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
KEYS = ("model", "version", "state", "requester")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "backtests",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        *(sa.Column(key, sa.Text) for key in KEYS),
    )
    op.create_index("backtests_at", "backtests", ["tenant", "at_us", "id"])
    for key in KEYS:
        op.create_index(f"backtests_{key}", "backtests", ["tenant", key, "at_us"])
