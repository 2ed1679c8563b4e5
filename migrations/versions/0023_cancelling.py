"""Note up to which of its notifications a rule cancels what waits, where that is too much for one request.

The release before knows nothing of it: it cancels all at once, or answers 503.

Revision ID: 0023
Revises: 0022
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

NAME = "ix_rules_cancelling"


def upgrade() -> None:
    op.add_column("rules", sa.Column("cancels_until", sa.Uuid(), nullable=True))
    op.add_column("rules", sa.Column("cancels_for", sa.Text(), nullable=True))
    # The sweep asks for it every few seconds; there may be many rules, and hardly ever is there one of these.
    op.create_index(NAME, "rules", ["id"], postgresql_where=sa.text("cancels_until IS NOT NULL"))


def downgrade() -> None:
    op.drop_index(NAME, "rules")
    op.drop_column("rules", "cancels_for")
    op.drop_column("rules", "cancels_until")
