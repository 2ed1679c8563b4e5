"""Keep what rules remember, and what they decided.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "rule_states",
        sa.Column("rule_version_id", sa.Uuid(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=True),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("rule_version_id", "scope", "key", name="pk_rule_states"),
        # Room in each page for the next version of its rows, which then needs no index to be written.
        postgresql_with={"fillfactor": "60"},
    )
    op.create_index("ix_rule_states_due", "rule_states", ["due"], postgresql_where=sa.text("due IS NOT NULL"))
    # Columns of times and numbers gain little by compression, and are read and written all the time.
    op.execute("ALTER TABLE rule_states ALTER COLUMN data SET STORAGE EXTERNAL")
    op.create_table(
        "decisions",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.Column("made", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_decisions"),
    )
    op.create_table(
        "timer_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("rule_version_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.Column("made", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_timer_decisions"),
    )
    op.create_index("ix_timer_decisions_event_id", "timer_decisions", ["event_id"])
    op.create_table(
        "memory_losses",
        sa.Column("rule_version_id", sa.Uuid(), nullable=False),
        sa.Column("keys", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("entries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("rule_version_id", name="pk_memory_losses"),
    )


def downgrade() -> None:
    for table in ("memory_losses", "timer_decisions", "decisions", "rule_states"):
        op.drop_table(table)
