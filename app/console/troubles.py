"""Troubles: what is wrong just now, in sentences."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from flask import url_for
from sqlalchemy.orm import Session

from app.broker import Broker
from app.console.formats import count, span
from app.console.places import address_of
from app.models.channels import Receiver
from app.services import wellbeing
from app.services.health import DOWN, QUEUES, READ_ONLY, UP, Health
from app.services.receivers import Hold
from app.services.samples import MOST
from app.services.search import Sort

WAITING: Final = {
    "events": "Events are accepted and kept, and wait.",
    "notifications": "Notifications are kept, and wait.",
}


@dataclass(frozen=True)
class Trouble:
    """What is wrong, what that means, and where there is more about it; `tone` is bad or warn."""

    text: str
    more: str = ""
    address: str = ""
    tone: str = "bad"


def of_parts(health: Health, broker: Broker) -> list[Trouble]:
    """What does not answer."""
    found = []
    if health.database == DOWN:
        found.append(
            Trouble(
                "The database does not answer.", "Events are refused until it does, with a 503."
            )
        )
    elif health.database == READ_ONLY:
        more = "Events are refused until it does, with a 503: it is a standby, or its disk is nearly full."
        found.append(Trouble("The database takes no writes.", more))
    elif not health.ready:
        more = "Events are refused until `./sentinel up` has run, or in containers the service `migrate`."
        found.append(Trouble("Migrations are missing: this release needs a newer schema.", more))
    if health.broker != UP:
        name = "RabbitMQ" if broker.is_rabbitmq else "Redis"
        wrong = "takes no writes" if health.broker == READ_ONLY else "does not answer"
        found.append(Trouble(f"{name} {wrong}.", "Events are accepted and kept, and wait."))
    return found


def of_work(
    session: Session, health: Health, figures: dict[str, int], now: datetime
) -> list[Trouble]:
    """What waits, and what is held back; asked of a database that answers."""
    return [
        *_workers(session, health, now),
        *_backlog(session, figures["waiting"], now),
        *_channels(session),
        *_receivers(session),
        *_storms(session, now),
    ]


def of_failures(given_up: Mapping[str, int], within: str) -> list[Trouble]:
    """What was given up in the time that is looked at, by the names of totals: somebody has to retry it."""
    found = []
    if dead := given_up["dead"]:
        which = "1 notification was" if dead == 1 else f"{count(dead)} notifications were"
        where = url_for("console.notifications.listing", view="dead")
        more = "Those that are still dead can be retried."
        found.append(Trouble(f"{which} given up {within}.", more, where))
    if events := given_up["given_up"]:
        which = "1 event was" if events == 1 else f"{count(events)} events were"
        more = "No rule has judged them; each can be evaluated again."
        found.append(
            Trouble(f"{which} given up {within}.", more, url_for("console.events.listing"))
        )
    return found


def _workers(session: Session, health: Health, now: datetime) -> Iterator[Trouble]:
    missing = [queue for queue in QUEUES if not health.workers.get(queue)]
    seen = wellbeing.last_seen(session) if missing else {}
    for queue in missing:
        since = f" since {_clock(seen[queue], now)}" if queue in seen else ""
        yield Trouble(f"No worker for {queue} is alive{since}.", WAITING[queue])


def _backlog(session: Session, waiting: int, now: datetime) -> Iterator[Trouble]:
    since = wellbeing.waits_since(session, now)
    if since is None:
        return
    number = f"More than {count(MOST)} events" if waiting >= MOST else f"{count(waiting)} events"
    which = "1 event waits" if waiting <= 1 else f"{number} wait; the oldest"
    yield Trouble(f"{which} for {span(now - since)}.", tone="warn")


def _channels(session: Session) -> Iterator[Trouble]:
    for row in wellbeing.switched_off(session):
        name = f"{row.kind}:{row.name}"
        reason = (row.disabled_reason or "").rstrip(".")
        reason = reason[:1].upper() + reason[1:]
        yield Trouble(
            f"The channel {name} was switched off.", f"{reason}.", address_of(Sort.CHANNEL, name)
        )


def _receivers(session: Session) -> Iterator[Trouble]:
    for held in wellbeing.held_receivers(session):
        row = held.receiver
        where = url_for("console.notifications.listing", view="pending")
        yield Trouble(f"{row.key} is held{_until(row)}.", _why(row, held.waiting), where, "warn")


def _until(row: Receiver) -> str:
    return f" until {row.held_until.astimezone(UTC):%H:%M:%S} UTC" if row.held_until else ""


def _why(row: Receiver, waiting: int) -> str:
    if row.held_for == Hold.ASKED:
        why = "It asked to be left alone"
    else:
        why = "It failed once" if row.failures == 1 else f"It failed {row.failures} times in a row"
    if not waiting:
        return f"{why}; nothing waits for it."
    more = "more than " if waiting >= wellbeing.MOST_WAITING else ""
    waits = "1 notification waits" if waiting == 1 else f"{more}{count(waiting)} notifications wait"
    return f"{why}; {waits} for it."


def _storms(session: Session, now: datetime) -> Iterator[Trouble]:
    for row in wellbeing.storms(session, now):
        yield Trouble(
            f"A storm: {count(row.wanted)} notifications to {row.target} were wanted in the minute of "
            f"{_clock(row.minute, now)}.",
            f"{count(row.held)} of them are held back, and a digest tells of them.",
            tone="warn",
        )


def _clock(moment: datetime, now: datetime) -> str:
    """A time of today, or with its day."""
    there = moment.astimezone(UTC)
    today = there.date() == now.astimezone(UTC).date()
    return f"{there:{'%H:%M' if today else '%Y-%m-%d %H:%M'}} UTC"
