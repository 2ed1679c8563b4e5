"""The page and the receiver, over one database."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import delete

from app.config import Settings
from app.extensions import db
from app.inbox.receiver import create_receiver
from app.inbox.views import blueprint
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
def page(settings: Settings) -> Iterator[FlaskClient]:
    app = Flask("page", static_folder=None)
    app.config["SQLALCHEMY_DATABASE_URI"] = settings.database_url
    db.init_app(app)
    app.register_blueprint(blueprint)
    yield app.test_client()
    with app.app_context():
        db.engine.dispose()
