"""Forecasts are kept until they are judged, and after."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
KEYS = ("entity", "series", "state", "model")


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "forecasts",
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        *(sa.Column(key, sa.Text) for key in KEYS),
    )
    op.create_index("forecasts_at", "forecasts", ["tenant", "at_us", "id"])
    for key in KEYS:
        op.create_index(f"forecasts_{key}", "forecasts", ["tenant", key, "at_us"])
