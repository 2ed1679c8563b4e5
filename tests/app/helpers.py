"""Short ways to put an application into a state, through its own doors and verbs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.extensions import session
from app.models.events import PendingEvent
from app.models.notifications import Notification
from app.services import matching
from app.services.matching import Claim, Evaluation
from tests.app.client import Client

ORDERS = 'when event.type == "order" and amount > 500 then notify("slack:#big-orders")'


def make_rule(client: Client, dsl: str = ORDERS, name: str = "Orders", **more: Any) -> str:
    """A rule's id."""
    answer = client.post("/rules", json={"name": name, "dsl": dsl, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def post_event(client: Client, **body: Any) -> UUID:
    """An accepted event's id."""
    answer = client.post("/events", json={"type": "order", "amount": 750} | body)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json["id"])


def evaluate(now: datetime, event_ids: Sequence[UUID] | None = None) -> Evaluation:
    """What the task does: claim, commit, evaluate, commit; all that waits where none are named."""
    ids = event_ids or session().scalars(select(PendingEvent.event_id)).all()
    claims = matching.claim(session(), ids, now)
    session().commit()
    return finish(claims, now)


def finish(claims: Sequence[Claim], now: datetime) -> Evaluation:
    """What the task does with its claims."""
    events = matching.load(session(), claims)
    session().commit()
    evaluation = matching.record(session(), claims, matching.judge(events), now)
    session().commit()
    return evaluation


def notifications() -> list[Notification]:
    """All of them, oldest first, as the database has them now."""
    session().expire_all()
    return list(session().scalars(select(Notification).order_by(Notification.id)))
