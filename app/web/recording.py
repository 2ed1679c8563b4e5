"""The hook by which no change is missed in the audit log.

A call that may write is noted when its caller is let in. What its session then writes is gathered, and the entry
joins the same transaction just before the commit; so a new view needs to do nothing for it.
"""

from typing import Any, Final, cast

from flask import g, has_request_context, request
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session

from app.extensions import db
from app.runtime import now
from app.services import audit
from app.services.audit import Change
from app.services.keys import Caller
from app.web.request import SentinelRequest

READING: Final = {"GET", "HEAD", "OPTIONS"}
FATES: Final = {"insert": "created", "update": "changed", "delete": "deleted"}
WRITING_SCOPES: Final = {"write", "admin"}


def begin(scope: str, caller: Caller) -> None:
    """Note what this request is about to do, if it may change something."""
    writes = scope in WRITING_SCOPES and request.method not in READING
    g.change = _change(caller) if writes else None


def _change(caller: Caller) -> Change:
    # The console's resources and verbs are named as the API's, a blueprint further down.
    *_, resource, verb = ["", *(request.endpoint or "").split(".")]
    asked_for = next(map(str, (request.view_args or {}).values()), None)
    request_id = cast(SentinelRequest, request).request_id
    return Change(caller.name, resource, verb, asked_for, request_id)


def _current() -> Change | None:
    return g.get("change") if has_request_context() else None


@event.listens_for(db.session, "before_flush")
def _gather(session: Session, *_: Any) -> None:
    change = _current()
    if change is not None:
        change.gather(session)


@event.listens_for(db.session, "do_orm_execute")
def _gather_statement(state: ORMExecuteState) -> None:
    change = _current()
    fate = next((fate for fate in FATES if getattr(state, f"is_{fate}")), None)
    if change is not None and fate is not None and state.bind_mapper is not None:
        change.gather_statement(str(state.bind_mapper.local_table), FATES[fate])


@event.listens_for(db.session, "before_commit")
def _record(session: Session) -> None:
    change = _current()
    if change is not None:
        audit.record(session, change, now())
        g.change = None
