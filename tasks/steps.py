"""The transactions of deliveries, which the threads of a process share: many rows are read and written at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy.orm import Session

from app.extensions import session
from app.pool import undo
from app.runtime import now, runtime
from app.services import delivery, outcomes, receivers
from app.services.delivery import Result, Sending
from app.services.outcomes import Ended
from tasks import totals, trail
from tasks.publisher import wake_events, wake_notification, wake_notifications
from tasks.recorder import Recorder
from tasks.together import AWAY, Together
from tasks.wiring import publish

# Of some notifications each; a message that comes alone does not wait for more than these.
MESSAGES: Final = 16
RECORDER: Final = "recorder"
Begun = Sending | Result | Exception | None


def give_back(begun: Sequence[Sending]) -> None:
    """Undo the beginning of what this message sends no more, and have it attempted by another."""
    with _transaction() as db:
        freed = delivery.give_back(db, begun, now())
    if freed:
        publish([wake_notification(*freed, receiver=begun[0].receiver)])


def receiver_of(ids: Sequence[UUID]) -> str:
    """Whose notifications they are, all of one receiver."""
    with _transaction() as db:
        return receivers.of(db, ids[0])


def recorder() -> Recorder:
    """What writes down outcomes in this process."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    kept: Recorder = app.extensions.setdefault(RECORDER, Recorder(lambda ended: _end(app, ended)))
    return kept


def _begin_all(messages: Sequence[Sequence[UUID]]) -> list[list[Begun]]:
    begun = iter(_begin_or_each([key for ids in messages for key in ids]))
    return [[next(begun) for _ in ids] for ids in messages]


def _begin_or_each(ids: Sequence[UUID]) -> list[Begun]:
    """Together; but one that cannot be begun shall not keep the others back."""
    try:
        with _transaction() as db:
            return list(delivery.begin(db, ids, runtime().settings, now))
    except AWAY:
        raise
    except Exception as error:  # noqa: BLE001 - the task raises it, when it has sent the others
        if len(ids) == 1:
            return [error]
        return [begun for key in ids for begun in _begin_or_each([key])]


def _end(app: Flask, ended: Sequence[Ended]) -> list[Result | None]:
    with app.app_context():
        settings = runtime().settings
        with _transaction() as db:
            results = outcomes.finish(db, ended, settings.retry, settings.receivers, now())
        for one, result in zip(ended, results, strict=True):
            if result is not None:
                _follow(one, result)
    return results


def _follow(ended: Ended, result: Result) -> None:
    totals.attempted(ended.sending, ended.verdict, result)
    trail.attempted(ended.sending, ended.verdict, result)
    if result.event_id is not None:
        publish([wake_events([result.event_id])])
        totals.ingested_own()


def _fill(names: Sequence[str]) -> list[None]:
    with _transaction() as db:
        due = receivers.next_due(db, names, now())
    publish(wake_notifications(due))
    return [None] * len(names)


@contextmanager
def _transaction() -> Iterator[Session]:
    """One for all who came together; what it read is forgotten, since others write too."""
    db = session()
    try:
        yield db
        db.commit()
    except BaseException:  # also a thread's end: the session is the next one's
        undo(db)
        raise
    finally:
        db.expunge_all()


begin: Final = Together(_begin_all, most=MESSAGES)
fill: Final = Together(_fill)
