"""Two releases of Sentinel in one folder for a test: this checkout's, and one with two migrations and a number more."""

import re
import shutil
from pathlib import Path

from app.cli.local import migrations
from app.cli.local.home import CHECKOUT
from app.metrics import VERSION

PARTS = ("app", "tasks", "rules_dsl", "migrations", "deploy", "wsgi.py", "celeryconfig.py")
UNNEEDED = shutil.ignore_patterns("__pycache__", "node_modules")
NEXT = "99.0.0"
LAST_STEP = "9002"
# `events` is partitioned, and every insertion and page of events goes through it.
COLUMN = """
import sqlalchemy as sa
from alembic import op

revision = "9001"
down_revision = {head!r}


def upgrade() -> None:
    op.add_column("events", sa.Column("region", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("events", "region")
"""
INDEX = """
from alembic import op

revision = "9002"
down_revision = "9001"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        # One that an earlier try has left unfinished is there, and of no use.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix_attempts_late")
        op.create_index("ix_attempts_late", "attempts", ["started_at"], postgresql_concurrently=True)


def downgrade() -> None:
    op.drop_index("ix_attempts_late", "attempts")
"""


class Code:
    """A folder of code that processes run, and that another release may be put into."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "sentinel"
        self.path.mkdir()
        for part in PARTS:
            if (CHECKOUT / part).is_dir():
                shutil.copytree(CHECKOUT / part, self.path / part, ignore=UNNEEDED)
            else:
                shutil.copy2(CHECKOUT / part, self.path / part)

    def take_next(self) -> None:
        """What `git pull` does where there is a new release."""
        [head] = migrations.heads()
        steps = self.path / "migrations" / "versions"
        (steps / "9001_region.py").write_text(COLUMN.format(head=head))
        (steps / "9002_late_attempts.py").write_text(INDEX)
        self._replace("app/metrics.py", f'"{re.escape(VERSION)}"', f'"{NEXT}"')
        # The new code asks for the column wherever it reads an event: it cannot run on the old schema.
        column = "    replay_of: Mapped[UUID | None]\n"
        self._replace(
            "app/models/events.py", re.escape(column), f"{column}    region: Mapped[str | None]\n"
        )

    def take_back(self) -> None:
        """The release before again."""
        for step in (self.path / "migrations" / "versions").glob("900?_*.py"):
            step.unlink()
        for file in ("app/metrics.py", "app/models/events.py"):
            shutil.copy2(CHECKOUT / file, self.path / file)

    def _replace(self, file: str, pattern: str, text: str) -> None:
        old = (self.path / file).read_text(encoding="utf-8")
        new, count = re.subn(pattern, text, old)
        assert count == 1, (file, pattern)
        (self.path / file).write_text(new, encoding="utf-8")
