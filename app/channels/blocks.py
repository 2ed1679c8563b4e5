"""A notice as Slack's Block Kit, with text as the fallback.

All that came from an event or a rule is escaped, so that `<!channel>` is just letters, and
stands in `plain_text` or `verbatim` objects, which Slack does not search for `@here`, `#names`
and links.
"""

from collections.abc import Iterator
from typing import Any

from app.channels import facts
from app.channels.base import Notice

HEADER_LIMIT = 150
TEXT_LIMIT = 3000
FIELD_LIMIT = 2000
VALUE_LIMIT = 200


def render(notice: Notice) -> dict[str, Any]:
    """The payload without a channel."""
    title = facts.title(notice)
    return {
        "text": escape(facts.summary(title, notice), TEXT_LIMIT),
        "blocks": list(_blocks(notice, title)),
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escape(text: str, limit: int) -> str:
    """Slack's three escapes; cut to `limit` characters, never through an escape."""
    pieces = [_ESCAPES.get(c, c) for c in facts.clean(text)[: limit + 1]]
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


def _blocks(notice: Notice, title: str) -> Iterator[dict[str, Any]]:
    yield {"type": "header", "text": _plain(title, HEADER_LIMIT)}
    # Of control characters alone nothing is left, and an empty text is refused by Slack.
    if said := facts.clean(notice.message).strip():
        yield {"type": "section", "text": _plain(said, TEXT_LIMIT)}
    yield {"type": "section", "fields": [_field(*pair) for pair in facts.pairs(notice)]}
    yield {"type": "context", "elements": list(_context(notice))}


def _field(label: str, text: str) -> dict[str, Any]:
    # A star in the label would end the bold.
    head = escape(label.replace("*", "∗").replace("\n", " "), 100)
    return _verbatim(f"*{head}*\n{escape(text, VALUE_LIMIT) or '—'}")


def _context(notice: Notice) -> Iterator[dict[str, Any]]:
    yield _plain(facts.footer(notice), FIELD_LIMIT)
    if notice.url and not set(notice.url) & set("<>|"):
        yield _verbatim(f"<{notice.url.replace('&', '&amp;')}|Open in Sentinel>")


def _plain(text: str, limit: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": escape(text, limit), "emoji": False}


def _verbatim(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text, "verbatim": True}
