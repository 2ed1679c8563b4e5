"""The JSON door: its documents, and its resources."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from flask import Flask
from flask_smorest import Api
from werkzeug.exceptions import HTTPException

from app.api import (
    alerts,
    audit,
    backtests,
    channels,
    docs,
    events,
    fields,
    health,
    hooks,
    keys,
    notifications,
    problems,
    prometheus,
    rules,
    silences,
)
from app.metrics import VERSION
from app.schemas.common import Problem
from app.web import limits

RESOURCES = (
    events,
    hooks,
    prometheus,
    fields,
    rules,
    backtests,
    alerts,
    silences,
    channels,
    notifications,
    keys,
    audit,
    health,
)


class SentinelApi(Api):
    """flask-smorest's API, with problem documents for errors."""

    ERROR_SCHEMA = Problem

    def _register_responses(self) -> None:
        """The shared responses of the document, errors by their own media type."""
        for name, phrase, has_body in _shared_responses():
            content = {problems.MEDIA_TYPE: {"schema": Problem}} if has_body else {}
            response = {"description": phrase} | ({"content": content} if content else {})
            self.spec.components.response(name, response, lazy=True)

    def handle_http_exception(self, error: HTTPException) -> Any:
        """In the one place where errors are answered."""
        return problems.http_problem(error)


def _shared_responses() -> Iterator[tuple[str, str, bool]]:
    """Name, description, and whether a problem document is its body."""
    for status in HTTPStatus:
        yield status.name, status.phrase, status >= HTTPStatus.BAD_REQUEST
    yield "DEFAULT_ERROR", "Default error response", True


def init_app(app: Flask) -> None:
    """Register every resource, `/openapi.json` and `/docs`."""
    app.config.update(
        API_TITLE="Sentinel",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH="openapi.json",
    )
    limits.init_app(app)
    api = SentinelApi(app)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    for resource in RESOURCES:
        api.register_blueprint(resource.bp)
    api.register_blueprint(alerts.held)
    app.register_blueprint(docs.blueprint(api))
