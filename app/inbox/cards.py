"""Messages as the page shows them: what was said, and which attempt it was."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.inbox.slack_text import Block, blocks_of
from app.models.inbox import InboxMessage

SHOWN_BODY = 64 * 1024
_SIGNATURE = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass(frozen=True)
class Card:
    """One message, ready for the template."""

    id: int
    source: str
    place: str
    received_at: datetime
    answered: int | None
    attempt: int
    gap: str
    blocks: list[Block]
    title: str
    kind: str
    message: str
    signature: list[tuple[str, str]]
    body: str


def cards_of(messages: Sequence[InboxMessage]) -> list[Card]:
    """Cards for messages that stand newest first; repeats of one are numbered from the oldest."""
    seen: dict[str, tuple[int, datetime]] = {}
    cards = []
    for message in reversed(messages):
        key = _identity(message)
        number, before = seen.get(key, (0, message.received_at))
        seen[key] = (number + 1, message.received_at)
        seconds = (message.received_at - before).total_seconds()
        cards.append(_card(message, number + 1, _gap(seconds) if number else ""))
    return cards[::-1]


def _card(message: InboxMessage, attempt: int, gap: str) -> Card:
    payload = _object(message.body)
    data = _dict(payload.get("data"))
    slack = message.source == "slack"
    return Card(
        id=message.id,
        source=message.source,
        place=str(payload.get("channel") or "incoming webhook") if slack else message.path,
        received_at=message.received_at,
        answered=message.answered,
        attempt=attempt,
        gap=gap,
        blocks=blocks_of(payload) if slack else [],
        title=str(_dict(data.get("rule")).get("name") or "Webhook"),
        kind=str(payload.get("type") or ""),
        message=str(data.get("message") or ""),
        signature=_signature(message),
        body=_pretty(message.body)[:SHOWN_BODY],
    )


def _identity(message: InboxMessage) -> str:
    """What stays the same when a message is sent again: its id, or else all of it."""
    found = _lower(message).get("webhook-id")
    return found or hashlib.sha256(f"{message.path}\n{message.body}".encode()).hexdigest()


def _signature(message: InboxMessage) -> list[tuple[str, str]]:
    headers = _lower(message)
    return [(name, headers[name]) for name in _SIGNATURE if name in headers]


def _lower(message: InboxMessage) -> dict[str, str]:
    return {name.lower(): str(value) for name, value in message.headers.items()}


def _gap(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s later"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s later"


def _pretty(body: str) -> str:
    try:
        return json.dumps(json.loads(body), ensure_ascii=False, indent=2)
    except (ValueError, RecursionError):
        return body


def _object(body: str) -> dict[str, Any]:
    try:
        return _dict(json.loads(body))
    except (ValueError, RecursionError):
        return {}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
