"""Let a backtest be of many rules at once.

Revision ID: 0019
Revises: 0018
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("backtests", sa.Column("rules", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("backtests", "rules")
