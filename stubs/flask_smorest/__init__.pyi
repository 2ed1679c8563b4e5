"""What Sentinel uses of flask-smorest, which ships no types: its decorators keep a view's signature."""

from collections.abc import Callable
from typing import Any, TypeVar

import flask
from apispec import APISpec
from marshmallow import Schema
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException

F = TypeVar("F", bound=Callable[..., Any])

class Blueprint(flask.Blueprint):
    ARGUMENTS_PARSER: FlaskParser
    def __init__(
        self, name: str, import_name: str, *, url_prefix: str = ..., description: str = ...
    ) -> None: ...
    # Its views answer whatever their response's schema dumps.
    def route(self, rule: str, **options: object) -> Callable[[F], F]: ...
    def arguments(
        self, schema: type[Schema], *, location: str = ..., required: bool = ...
    ) -> Callable[[F], F]: ...
    def response(
        self,
        status_code: int,
        schema: type[Schema] | dict[str, Any] = ...,
        *,
        description: str = ...,
    ) -> Callable[[F], F]: ...
    def alt_response(self, status_code: int, *, schema: type[Schema] = ...) -> Callable[[F], F]: ...
    def doc(self, **kwargs: object) -> Callable[[F], F]: ...

class Api:
    spec: APISpec
    def __init__(self, app: flask.Flask) -> None: ...
    def register_blueprint(self, blueprint: Blueprint) -> None: ...
    def handle_http_exception(self, error: HTTPException) -> Any: ...
