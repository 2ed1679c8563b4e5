"""The page and the receiver, over one database."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete

from app.config import Settings
from app.extensions import db
from app.inbox.receiver import create_receiver
from app.models.inbox import InboxMessage, InboxMode


@pytest.fixture
def receiver(settings: Settings) -> Iterator[FlaskClient]:
    app = create_receiver(settings)
    yield app.test_client()
    with app.app_context():
        db.session.execute(delete(InboxMessage))
        db.session.execute(delete(InboxMode))
        db.session.commit()
        db.engine.dispose()


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Those of an installation that has the inbox."""
    return replace(settings, inbox=True)


@pytest.fixture
def page(app: Flask) -> FlaskClient:
    return app.test_client()
