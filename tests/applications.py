"""Applications that tests share: to make one costs more than most tests do."""

from dataclasses import replace
from typing import Any, cast

from celery import Celery
from flask import Flask
from sqlalchemy import text

from app import metrics
from app.api.acceptance import group
from app.clock import Clock
from app.config import Settings
from app.extensions import db
from app.factory import create_app
from app.runtime import EXTENSION, Runtime
from app.services import rulesets, silences
from app.web import limits

KEPT = {"alembic_version", "ruleset", "events_default"}


class Applications:
    """One application for each settings that tests ask for, as good as new each time."""

    def __init__(self) -> None:
        self._made: list[tuple[Settings, Flask, dict[str, Any]]] = []

    def get(self, settings: Settings, clock: Clock) -> Flask:
        """An application with settings and a clock, which has served nobody yet."""
        app, extensions = self._known(settings, clock)
        app.extensions.clear()
        app.extensions.update(extensions)
        known = cast(Runtime, app.extensions[EXTENSION])
        app.extensions[EXTENSION] = replace(known, clock=clock)
        limits.forget(app)
        celery = cast(Celery, app.extensions["celery"])
        celery.set_default()
        # One that a test has made for itself since is the current one, and comes before the default.
        celery.set_current()
        with app.app_context():
            metrics.totals.bind(db.engine)
        rulesets.live.forget()
        silences.live.forget()
        return app

    def _known(self, settings: Settings, clock: Clock) -> tuple[Flask, dict[str, Any]]:
        for known, app, extensions in self._made:
            if known == settings:
                return app, extensions
        app = create_app(settings, clock)
        self._made.append((settings, app, dict(app.extensions)))
        return app, dict(app.extensions)


def leave_clean() -> None:
    """Take back what a test has stored with the current application, and let its connections go."""
    metrics.totals.flush()
    db.session.rollback()
    # Emptying all tables by TRUNCATE would take five times as long, and most are empty.
    names = [table.name for table in db.metadata.sorted_tables if table.name not in KEPT]
    deletes = "; ".join(f"DELETE FROM {name}" for name in names)
    db.session.execute(text("SET LOCAL session_replication_role = replica"))
    db.session.execute(text(deletes))
    db.session.commit()
    db.session.remove()
    group().close()
    db.engine.dispose()
