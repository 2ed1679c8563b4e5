"""Remember the messages of outside streams by their ranges, not one by one.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "stream_ranges",
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("low", sa.Numeric(39, 0), nullable=False),
        sa.Column("high", sa.Numeric(39, 0), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("log", "low", name="pk_stream_ranges"),
    )
    op.create_index("ix_stream_ranges_taken_at", "stream_ranges", ["taken_at"])


def downgrade() -> None:
    op.drop_table("stream_ranges")
