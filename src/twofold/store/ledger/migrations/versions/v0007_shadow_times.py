"""What shadows have judged."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
NAME, KEY = "shadow_times", "run"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        NAME,
        sa.Column("tenant", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column(KEY, sa.Text),
    )
    op.create_index(f"{NAME}_at", NAME, ["tenant", "at_us", "id"])
    op.create_index(f"{NAME}_{KEY}", NAME, ["tenant", KEY, "at_us"])
