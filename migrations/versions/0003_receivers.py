"""What is known of each receiver, and tests of channels

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op


revision = '0003'
down_revision = '0002'

PENDING = sa.text("status = 'pending'")


def upgrade():
    op.create_table('receivers',
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('failures', sa.Integer(), nullable=False),
    sa.Column('failing_since', sa.DateTime(timezone=True), nullable=True),
    sa.Column('pauses', sa.Integer(), nullable=False),
    sa.Column('held_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('held_for', sa.Text(), nullable=True),
    sa.Column('bucket_full_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_receivers'))
    )
    op.create_table('channel_tests',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('channel_id', sa.Uuid(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.Column('status_code', sa.Integer(), nullable=True),
    sa.Column('latency_ms', sa.Integer(), nullable=True),
    sa.Column('detail', sa.Text(), nullable=True),
    sa.Column('response', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['channel_id'], ['channels.id'], name=op.f('fk_channel_tests_channel_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_channel_tests'))
    )
    op.create_index(op.f('ix_channel_tests_created_at'), 'channel_tests', ['created_at'], unique=False)
    # A default, since workers of the release before write rows until they are gone.
    op.add_column('notifications', sa.Column('receiver', sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column('notifications', sa.Column('slot_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index('ix_notifications_receiver_wake_at', 'notifications', ['receiver', 'wake_at'], unique=False, postgresql_where=PENDING)
    op.drop_index('ix_notifications_wake_at', table_name='notifications', postgresql_where=PENDING)


def downgrade():
    op.create_index('ix_notifications_wake_at', 'notifications', ['wake_at'], unique=False, postgresql_where=PENDING)
    op.drop_index('ix_notifications_receiver_wake_at', table_name='notifications', postgresql_where=PENDING)
    op.drop_column('notifications', 'slot_at')
    op.drop_column('notifications', 'receiver')
    op.drop_index(op.f('ix_channel_tests_created_at'), table_name='channel_tests')
    op.drop_table('channel_tests')
    op.drop_table('receivers')
