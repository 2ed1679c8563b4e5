"""Who may call what: bearer keys with scopes, unless `SENTINEL_AUTH=off`.

Whoever is let in is counted (`app.web.limits`), and what they change is noted (`app.web.recording`).
"""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, ParamSpec, TypeVar, cast

from flask import g, request
from flask_smorest import Blueprint
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Forbidden, Unauthorized

from app.api import strangers
from app.extensions import session
from app.runtime import runtime
from app.services import keys
from app.services.keys import ANYBODY, Caller
from app.web import limits, recording

# By the names of the document's shared responses.
REFUSALS: Final = {
    status.value: status.name
    for status in (
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
}
P = ParamSpec("P")
R = TypeVar("R")


def requires(bp: Blueprint, scope: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view run only for callers with `scope`, and say so in the OpenAPI document.

    It stands above `bp.arguments`, so that nobody learns from a validation error what they may not call.
    """

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        untaken = strangers.untaken(view)

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            _authorize(scope)
            if untaken:
                strangers.refuse(untaken)
            return view(*args, **kwargs)

        guarded.scope = scope  # type: ignore[attr-defined]
        document: Any = bp.doc(security=[{"bearer": [scope]}], responses=REFUSALS)
        return cast(Callable[P, R], document(guarded))

    return decorate


def caller() -> Caller:
    """Who makes the current request, once `requires` has let it through."""
    return cast(Caller, g.caller)


def _authorize(scope: str) -> None:
    who = ANYBODY if runtime().settings.auth == "off" else _identify()
    g.caller = who
    limits.count_call(scope, who)
    if not who.may(scope):
        raise Forbidden(f"this key lacks the scope `{scope}`")
    recording.begin(scope, who)


def _identify() -> Caller:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise _unknown("send a key: `Authorization: Bearer snt_…`")
    found = keys.caller(session(), token)
    # Whoever waits for others now holds no connection meanwhile, which those might wait for.
    session().rollback()
    if found is None:
        raise _unknown("the key is unknown or revoked")
    return found


def _unknown(detail: str) -> Unauthorized:
    """The refusal of whoever shows no valid key; 429 instead for an address that was refused too often."""
    limits.count_failure()
    return Unauthorized(detail, www_authenticate=WWWAuthenticate("bearer"))
