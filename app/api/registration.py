"""The JSON door: its documents, and its resources."""

from typing import Any

from flask import Flask
from flask_smorest import Api
from werkzeug.exceptions import HTTPException

from app.api import channels, docs, events, health, keys, notifications, problems, rules
from app.metrics import VERSION
from app.schemas.common import Problem

RESOURCES = (events, rules, channels, notifications, keys, health)


class SentinelApi(Api):
    """flask-smorest's API, with problem documents for errors."""

    ERROR_SCHEMA = Problem

    def handle_http_exception(self, error: HTTPException) -> Any:
        """In the one place where errors are answered."""
        return problems.http_problem(error)


def init_app(app: Flask) -> None:
    """Register every resource, `/openapi.json` and `/docs`."""
    app.config.update(
        API_TITLE="Sentinel",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
    )
    api = SentinelApi(app)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    for resource in RESOURCES:
        api.register_blueprint(resource.bp)
    app.register_blueprint(docs.blueprint(api))
