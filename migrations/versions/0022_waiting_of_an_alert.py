"""Find what still waits of an alert, for its end to wait behind it.

Revision ID: 0022
Revises: 0021
"""

from alembic import op
from sqlalchemy import text

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

NAME = "ix_notifications_alert_id"


def upgrade() -> None:
    # The table may be large, and whoever serves goes on writing to it.
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}")
        op.create_index(
            NAME,
            "notifications",
            ["alert_id"],
            postgresql_where=text("status = 'pending'"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index(NAME, "notifications")
