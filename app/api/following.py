"""What a request tells of the events that it has brought, to the log and to traces."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.web.request import asked
from tasks import trail


def follow(ids: Sequence[UUID | str], moment: datetime, source: str) -> None:
    """Tell of events that came at `moment`, where somebody asked for it; after their commit."""
    if not ids or not trail.is_followed():
        return
    request = asked()
    caller = request.headers.get("traceparent")
    trail.accepted(ids, moment, source, request_id=request.request_id, caller=caller)
