"""Keep what a batch was answered beside its Idempotency-Key.

Revision ID: 0006
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency_keys", sa.Column("answer", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency_keys", "answer")
