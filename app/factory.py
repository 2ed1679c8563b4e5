"""The composition of the Flask application: config → extensions → Celery → blueprints."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flask import Flask, Request
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter

from app import logs, metrics, pool
from app.api import registration
from app.api.exposition import SentinelMetrics
from app.api.problems import register_problems
from app.channels.transport import Transport
from app.clock import Clock, system_clock
from app.config import Settings
from app.console import registration as console
from app.derived import egress, hook_secrets
from app.environment import ConfigError
from app.extensions import db, migrate
from app.inbox.views import blueprint as inbox
from app.runtime import EXTENSION, Runtime
from app.web.guards import refuse_other_hosts
from app.web.request import SentinelRequest
from tasks.wiring import make_celery

if TYPE_CHECKING:
    from app.traces import Traces


def _traces(settings: Settings) -> "Traces | None":
    if not settings.traces:
        return None
    try:
        from app.traces import Traces
    except ImportError as error:
        problem = f"needs the packages of requirements-otel.txt: {error}"
        raise ConfigError("OTEL_EXPORTER_OTLP_ENDPOINT", problem) from None
    return Traces(metrics.VERSION)


class Sentinel(Flask):
    """A Flask application without coroutines; to look for some costs each request more than a rate limit does."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """As Flask's, which looks for the host three times and spells it as DNS does; here it is only checked.

        Who wants another protocol is left to Flask.
        """
        if request is None or "HTTP_UPGRADE" in request.environ:
            return super().create_url_adapter(request)
        return MapAdapter(
            self.url_map,
            request.host,
            request.script_root,
            "",
            request.scheme,
            request.path,
            request.method,
            request.query_string.decode(errors="replace"),
        )


def create_app(settings: Settings | None = None, clock: Clock = system_clock) -> Flask:
    """The application for `settings` (the environment's where none are given); raises `ConfigError`."""
    settings = settings or Settings.from_env()
    logs.configure()
    app = Sentinel("app", static_folder=None)
    app.request_class = SentinelRequest
    if settings.proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.proxies, x_proto=settings.proxies, x_host=0
        )
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=pool.POOL,
        # Of any body; most are bounded more closely where they are read.
        MAX_CONTENT_LENGTH=settings.max_batch + 1,
    )
    transport = Transport(egress(settings))
    app.extensions[EXTENSION] = Runtime(
        settings, clock, transport, hook_secrets(settings), _traces(settings)
    )
    db.init_app(app)
    migrate.init_app(app, db)
    make_celery(app, settings)
    register_problems(app)
    app.before_request(refuse_other_hosts)
    registration.init_app(app)
    console.init_app(app)
    if settings.inbox:
        app.register_blueprint(inbox)
    with app.app_context():
        pool.bound(db.engine)
        metrics.totals.bind(db.engine)
        SentinelMetrics(app, metrics.TotalsCollector(db.engine))
    return app
