"""Keep the totals and levels of each minute.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

FIGURES = (
    "ingested",
    "matches",
    "sent",
    "failed",
    "dead",
    "rule_errors",
    "given_up",
    "rejected",
    "waiting",
    "pending",
    "alerts",
)


def upgrade() -> None:
    op.create_table(
        "samples",
        sa.Column("minute", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in FIGURES),
        sa.PrimaryKeyConstraint("minute", name="pk_samples"),
    )


def downgrade() -> None:
    op.drop_table("samples")
