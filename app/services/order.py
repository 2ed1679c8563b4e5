"""What of an alert waits for what: its end, and that somebody acknowledged it, for all that was told of it before.

Otherwise a beginning that is tried again would come after its end, and stay open where a receiver keeps alerts itself.
"""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Case, FromClause, and_, case, func, select

from app.models.notifications import Cause, Notification, Status
from app.services import cancelling
from app.services.prepared import among

# One that follows looks again so long after the next attempt of what is before it, or from now on where that is begun.
BEHIND: Final = timedelta(seconds=1)
_FOLLOWING: Final = (Cause.ALERT, Cause.ACKNOWLEDGED)


def behind(sent: FromClause, rule: FromClause) -> Case[Any]:
    """When the last of what a notification has to wait for is to be attempted; null where it waits for nothing."""
    earlier = Notification.__table__.alias("earlier")
    same = (earlier.c[name] == sent.c[name] for name in ("alert_id", "target"))
    # What will be cancelled is not attempted, unless it is under way.
    never = and_(cancelling.is_noted(earlier, rule), earlier.c.lease_until.is_(None))
    waiting = and_(
        *same,
        earlier.c.status == Status.PENDING,
        ~among(earlier.c.cause, _FOLLOWING),
        never.is_not(True),
    )
    last = select(func.max(earlier.c.next_attempt_at)).where(waiting).scalar_subquery()
    return case((among(sent.c.cause, _FOLLOWING), last))


def until(behind: datetime, now: datetime) -> dict[str, datetime]:
    """What the row of one says that waits: the sweep, or whoever ends a send at its receiver, finds it then."""
    again = max(behind, now) + BEHIND
    return {"next_attempt_at": again, "wake_at": again}
