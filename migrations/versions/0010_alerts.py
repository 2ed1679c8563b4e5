"""Give alerts a life, and keep what notified nobody.

Revision ID: 0010
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("alerts", sa.Column("rule_version_id", sa.Uuid(), nullable=True))
    op.add_column("alerts", sa.Column("notified_at", MOMENT, nullable=True))
    for name in ("acknowledged_at", "acknowledged_until", "snoozed_until", "resolved_at"):
        op.add_column("alerts", sa.Column(name, MOMENT, nullable=True))
    for name in ("acknowledged_by", "snoozed_by", "resolved_by"):
        op.add_column("alerts", sa.Column(name, sa.Text(), nullable=True))
    op.create_index("ix_alerts_state_id", "alerts", ["state", "id"])
    op.create_index("ix_alerts_quiet", "alerts", ["id"], postgresql_where=sa.text("acknowledged_until IS NOT NULL OR snoozed_until IS NOT NULL"))
    # Moved with each match, so that no update of the most written rows could stay in its page.
    op.drop_index("ix_alerts_last_at", table_name="alerts")
    op.create_table(
        "alert_changes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("until", MOMENT, nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_alert_changes"),
    )
    op.create_index("ix_alert_changes_alert_id_id", "alert_changes", ["alert_id", "id"])
    op.create_index("ix_alert_changes_rule_id_key_at", "alert_changes", ["rule_id", "key", "at"])
    op.create_table(
        "suppressions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("cause_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("rule_version_id", sa.Uuid(), nullable=False),
        sa.Column("alert_id", sa.Uuid(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", MOMENT, nullable=True),
        sa.Column("held_by", sa.Uuid(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_suppressions"),
        sa.UniqueConstraint("cause_id", "rule_version_id", "target", name="uq_suppressions_cause_id_rule_version_id_target"),
    )
    op.create_index("ix_suppressions_alert_id_id", "suppressions", ["alert_id", "id"])
    op.create_index("ix_suppressions_held_by_id", "suppressions", ["held_by", "id"], postgresql_where=sa.text("held_by IS NOT NULL"))
    op.create_table(
        "silences",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=True),
        sa.Column("rule_id", sa.Uuid(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("digest", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("begins_at", MOMENT, nullable=False),
        sa.Column("ends_at", MOMENT, nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("digested_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_silences"),
    )
    op.create_index("ix_silences_ends_at", "silences", ["ends_at"])
    op.add_column("ruleset", sa.Column("silences", sa.Integer(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "storms",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("minute", MOMENT, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("held", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("told", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("target", "minute", name="pk_storms"),
    )
    op.create_index("ix_storms_untold", "storms", ["minute"], postgresql_where=sa.text("held > told"))
    op.create_table(
        "heartbeats",
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("minute", MOMENT, nullable=False),
        sa.Column("begun_at", MOMENT, nullable=False),
        sa.Column("evaluated_at", MOMENT, nullable=True),
        sa.Column("pinged_at", MOMENT, nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("event_id", name="pk_heartbeats"),
        sa.UniqueConstraint("minute", name="uq_heartbeats_minute"),
    )
    # A digest is of many rules, or none.
    for name in ("rule_id", "rule_version_id", "alert_id"):
        op.alter_column("notifications", name, nullable=True)
    op.add_column("notifications", sa.Column("digest", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.execute("DELETE FROM attempts USING notifications n WHERE n.id = notification_id AND n.rule_id IS NULL")
    op.execute("DELETE FROM notifications WHERE rule_id IS NULL")
    op.drop_column("notifications", "digest")
    for name in ("rule_id", "rule_version_id", "alert_id"):
        op.alter_column("notifications", name, nullable=False)
    for table in ("heartbeats", "storms", "silences", "suppressions", "alert_changes"):
        op.drop_table(table)
    op.drop_column("ruleset", "silences")
    op.create_index("ix_alerts_last_at", "alerts", ["last_at", "id"])
    op.drop_index("ix_alerts_quiet", table_name="alerts")
    op.drop_index("ix_alerts_state_id", table_name="alerts")
    for name in ("acknowledged_by", "snoozed_by", "resolved_by", "acknowledged_at", "acknowledged_until", "snoozed_until", "resolved_at", "notified_at", "rule_version_id"):
        op.drop_column("alerts", name)
