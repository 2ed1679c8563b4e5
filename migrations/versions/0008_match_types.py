"""Find the events of a type that matched.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("matches", sa.Column("event_type", sa.Text(), nullable=True))
    op.execute("UPDATE matches SET event_type = e.type FROM events e WHERE e.id = event_id")
    op.create_index("ix_matches_event_type_event_id", "matches", ["event_type", "event_id"])


def downgrade() -> None:
    op.drop_column("matches", "event_type")
