"""The composition of the Flask application: config → extensions → Celery → blueprints."""

from flask import Flask
from sqlalchemy.pool import QueuePool

from app import logs, metrics
from app.api import registration
from app.api.exposition import SentinelMetrics
from app.api.problems import register_problems
from app.api.request import SentinelRequest
from app.channels.egress import Egress
from app.channels.transport import Transport
from app.clock import Clock, system_clock
from app.config import ConfigError, Settings
from app.extensions import db, migrate
from app.inbox.views import blueprint as inbox
from app.runtime import EXTENSION, Runtime
from tasks.wiring import make_celery

POOL = {
    "poolclass": QueuePool,
    "pool_size": 8,
    "max_overflow": 8,
    # Nobody waits long for a connection: a 503 with Retry-After is a better answer than a late one.
    "pool_timeout": 2,
    "pool_pre_ping": True,
    # Errors go to the logs, and what was sent must not.
    "hide_parameters": True,
    "connect_args": {
        "connect_timeout": 2,
        "application_name": "sentinel",
        "options": "-c timezone=UTC -c statement_timeout=15000 -c lock_timeout=10000"
        " -c idle_in_transaction_session_timeout=22000",
    },
}


def _egress(settings: Settings) -> Egress:
    try:
        return Egress(settings.egress_allow)
    except ValueError as error:
        raise ConfigError("SENTINEL_EGRESS_ALLOW", str(error)) from None


def create_app(settings: Settings | None = None, clock: Clock = system_clock) -> Flask:
    """The application for `settings` (the environment's where none are given); raises `ConfigError`."""
    settings = settings or Settings.from_env()
    logs.configure()
    app = Flask("app", static_folder=None)
    app.request_class = SentinelRequest
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=POOL,
        TRUSTED_HOSTS=[*settings.trusted_hosts, settings.host],
    )
    app.extensions[EXTENSION] = Runtime(settings, clock, Transport(_egress(settings)))
    db.init_app(app)
    migrate.init_app(app, db)
    make_celery(app, settings.broker_url)
    register_problems(app)
    registration.init_app(app)
    if settings.inbox:
        app.register_blueprint(inbox)
    with app.app_context():
        metrics.totals.bind(db.engine)
        SentinelMetrics(app, metrics.TotalsCollector(db.engine))
    return app
