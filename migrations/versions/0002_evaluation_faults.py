"""Who holds a waiting event, events given up, rules that failed

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op


revision = '0002'
down_revision = '0001'


def upgrade():
    op.add_column('pending_events', sa.Column('holder', sa.Uuid(), nullable=True))
    op.add_column('pending_events', sa.Column('begun', sa.Integer(), server_default=sa.text('0'), nullable=False))
    op.create_index('ix_pending_events_suspects', 'pending_events', ['wake_at'], unique=False, postgresql_where=sa.text('begun > 0'))
    op.create_table('failed_events',
    sa.Column('event_id', sa.Uuid(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('failed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('epoch', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('event_id', name=op.f('pk_failed_events'))
    )
    op.create_table('rule_errors',
    sa.Column('event_id', sa.Uuid(), nullable=False),
    sa.Column('rule_version_id', sa.Uuid(), nullable=False),
    sa.Column('rule_id', sa.Uuid(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('failed_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('event_id', 'rule_version_id', name=op.f('pk_rule_errors'))
    )


def downgrade():
    op.drop_table('rule_errors')
    op.drop_table('failed_events')
    op.drop_index('ix_pending_events_suspects', table_name='pending_events', postgresql_where=sa.text('begun > 0'))
    op.drop_column('pending_events', 'begun')
    op.drop_column('pending_events', 'holder')
