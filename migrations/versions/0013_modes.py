"""Let rules be tried in shadow, and kept to a noise budget.

The release before knows `enabled` alone. A rule in shadow has it false, so that an old process takes it for off and tells
nobody; and where an old process switches one on, `enabled` has the last word.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    for table in ("rules", "rule_versions", "alerts"):
        op.add_column(table, sa.Column("shadow", sa.Boolean(), server_default=sa.false(), nullable=False))
    for table in ("rules", "rule_versions"):
        op.add_column(table, sa.Column("noise_budget", sa.Integer(), nullable=True))
    op.add_column("rules", sa.Column("live_since", MOMENT, nullable=True))
    op.add_column("rules", sa.Column("demoted_at", MOMENT, nullable=True))
    op.add_column("rules", sa.Column("demoted_for", sa.Text(), nullable=True))
    op.create_table(
        "noisy_rules",
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("notifications", sa.Integer(), nullable=False),
        sa.Column("budget", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("rule_id", name="pk_noisy_rules"),
    )
    # What one rule did lately: its budget, and its scorecard.
    op.create_index("ix_notifications_rule_id_id", "notifications", ["rule_id", "id"])
    op.create_index("ix_suppressions_rule_id_id", "suppressions", ["rule_id", "id"])
    op.create_index("ix_alerts_rule_id_id", "alerts", ["rule_id", "id"])
    op.create_index("ix_rule_errors_rule_id_event_id", "rule_errors", ["rule_id", "event_id"])


def downgrade() -> None:
    op.drop_index("ix_rule_errors_rule_id_event_id", table_name="rule_errors")
    op.drop_index("ix_alerts_rule_id_id", table_name="alerts")
    op.drop_index("ix_suppressions_rule_id_id", table_name="suppressions")
    op.drop_index("ix_notifications_rule_id_id", table_name="notifications")
    op.drop_table("noisy_rules")
    for name in ("demoted_for", "demoted_at", "live_since"):
        op.drop_column("rules", name)
    for table in ("rules", "rule_versions"):
        op.drop_column(table, "noise_budget")
    for table in ("rules", "rule_versions", "alerts"):
        op.drop_column(table, "shadow")
