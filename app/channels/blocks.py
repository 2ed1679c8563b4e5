"""A notice as Slack's Block Kit, with text as the fallback.

All that came from an event or a rule is escaped, so that `<!channel>` is just letters, and
stands in `plain_text` or `verbatim` objects, which Slack does not search for `@here`, `#names`
and links.
"""

import json
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from app.channels.base import Notice

HEADER_LIMIT = 150
TEXT_LIMIT = 3000
FIELD_LIMIT = 2000
FIELDS_LIMIT = 10
VALUE_LIMIT = 200
_SIGNS = {"critical": "🔴", "high": "🟠", "warning": "🟡", "info": "🔵"}
_RESOLVED_SIGN = "✅"


def render(notice: Notice) -> dict[str, Any]:
    """The payload without a channel."""
    title = _title(notice)
    text = f"{title}: {notice.message}" if notice.message else title
    return {
        "text": escape(text, TEXT_LIMIT),
        "blocks": list(_blocks(notice, title)),
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escape(text: str, limit: int) -> str:
    """Slack's three escapes; cut to `limit` characters, never through an escape."""
    # Half a surrogate pair cannot be sent, and Slack has no use for control characters.
    clean = "".join(c for c in text if c >= " " or c in "\n\t").encode("utf-8", "replace").decode()
    pieces = [_ESCAPES.get(c, c) for c in clean[: limit + 1]]
    if sum(map(len, pieces)) <= limit:
        return "".join(pieces)
    size, kept = 0, []
    for piece in pieces:
        size += len(piece)
        if size > limit - 1:
            break
        kept.append(piece)
    return "".join(kept) + "…"


_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def _title(notice: Notice) -> str:
    name = str(notice.rule.get("name", "Alert"))
    if notice.kind == "alert.resolved":
        return f"{_RESOLVED_SIGN} Resolved: {name}"
    sign = _SIGNS.get(str(notice.rule.get("severity")), _SIGNS["warning"])
    return f"{sign} {name}"


def _blocks(notice: Notice, title: str) -> Iterator[dict[str, Any]]:
    yield {"type": "header", "text": _plain(title, HEADER_LIMIT)}
    if notice.message.strip():
        yield {"type": "section", "text": _plain(notice.message, TEXT_LIMIT)}
    yield {"type": "section", "fields": list(_fields(notice))}
    yield {"type": "context", "elements": list(_context(notice))}


def _fields(notice: Notice) -> Iterator[dict[str, Any]]:
    yield _field("Severity", notice.rule.get("severity", "warning"))
    if notice.event:
        yield _field("Event type", notice.event.get("type", ""))
    body = notice.event.get("body", {})
    shown = ((k, v) for k, v in body.items() if k not in ("type", "time"))
    for _, (key, value) in zip(range(FIELDS_LIMIT - 2), shown, strict=False):
        yield _field(key, value)


def _field(label: str, value: object) -> dict[str, Any]:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    # A star in the label would end the bold; an empty text is refused by Slack.
    head = escape(label.replace("*", "∗").replace("\n", " "), 100)
    return _verbatim(f"*{head}*\n{escape(text, VALUE_LIMIT) or '—'}")


def _context(notice: Notice) -> Iterator[dict[str, Any]]:
    event = str(notice.event.get("id") or "")
    moment = notice.timestamp.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    yield _plain(f"Event {event} · {moment}" if event else moment, FIELD_LIMIT)
    if notice.url and not set(notice.url) & set("<>|"):
        yield _verbatim(f"<{notice.url.replace('&', '&amp;')}|Open in Sentinel>")


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escape(text, limit), "emoji": False}


def _verbatim(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
