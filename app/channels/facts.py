"""What every kind of message tells of a notice, in plain text: each kind escapes and cuts it in its own way."""

import json
from collections.abc import Iterator
from datetime import UTC

from app.channels.base import Notice

RESOLVED = "alert.resolved"
ACKNOWLEDGED = "alert.acknowledged"
PAIRS = 10
_SIGNS = {"critical": "🔴", "high": "🟠", "warning": "🟡", "info": "🔵"}
_RESOLVED_SIGN = "✅"


def headline(notice: Notice) -> str:
    """The rule's name, and whether its alert is over."""
    name = str(notice.rule.get("name", "Alert"))
    return f"Resolved: {name}" if notice.kind == RESOLVED else name


def title(notice: Notice) -> str:
    """The headline behind a sign for its severity."""
    sign = _SIGNS.get(severity(notice), _SIGNS["warning"])
    return f"{_RESOLVED_SIGN if notice.kind == RESOLVED else sign} {headline(notice)}"


def summary(head: str, notice: Notice) -> str:
    """A headline and the message, which begins with the rule's name itself where the rule has no words of its own."""
    message, name = notice.message.strip(), str(notice.rule.get("name", ""))
    if name and message.startswith(name):
        return f"{head}{message.removeprefix(name)}"
    return f"{head}: {message}" if message else head


def key(notice: Notice) -> str:
    """Which of a rule's alerts it is, where the rule keeps one for each host, user or the like."""
    try:
        values = json.loads(str(notice.alert.get("key", "")))
    except ValueError:
        return ""
    return ", ".join(map(_text, values)) if isinstance(values, list) else ""


def severity(notice: Notice) -> str:
    """What the rule says, or `warning`."""
    return str(notice.rule.get("severity", "warning"))


def pairs(notice: Notice, most: int = PAIRS) -> Iterator[tuple[str, str]]:
    """Labels and values: the severity, the event's type and its first fields."""
    yield "Severity", severity(notice)
    if notice.event:
        yield "Event type", str(notice.event.get("type", ""))
    shown = ((k, v) for k, v in body(notice).items() if k not in ("type", "time"))
    for _, (key, value) in zip(range(most - 2), shown, strict=False):
        yield key, _text(value)


def body(notice: Notice) -> dict[str, object]:
    """The event as it was sent, where there is one."""
    found: dict[str, object] = notice.event.get("body", {})
    return found


def footer(notice: Notice) -> str:
    """Which event, and when."""
    event = str(notice.event.get("id") or "")
    moment = notice.timestamp.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"Event {event} · {moment}" if event else moment


def clean(text: str) -> str:
    """Without half surrogate pairs, which cannot be sent, and control characters, of which nobody has any use."""
    kept = "".join(c for c in text if (c >= " " and c != "\x7f") or c in "\n\t")
    return kept.encode("utf-8", "replace").decode()


def line(text: str, limit: int) -> str:
    """Cleaned, on one line, and cut to `limit` characters."""
    return cut(" ".join(clean(text[: limit * 2]).split()), limit)


def cut(text: str, limit: int) -> str:
    """At most `limit` characters; what is cut ends in an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
