"""Let a version of a rule go on with the memory of the one before it.

Revision ID: 0018
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rule_versions", sa.Column("memory_of", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_rule_versions_memory_of",
        "rule_versions",
        ["memory_of"],
        postgresql_where=sa.text("memory_of IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_rule_versions_memory_of", "rule_versions")
    op.drop_column("rule_versions", "memory_of")
