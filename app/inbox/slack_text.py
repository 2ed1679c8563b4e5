"""Slack's Block Kit and mrkdwn as safe HTML, the way Slack shows them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

_SPAN = re.compile(
    r"`(?P<code>[^`\n]+)`"
    r"|<(?P<url>https?://[^|<>\s]+)(?:\|(?P<label>[^<>]*))?>"
    r"|<(?P<mention>[!@#][^<>]*)>"
    r"|(?<!\w)\*(?P<b>[^*\n]+)\*(?!\w)"
    r"|(?<!\w)_(?P<i>[^_\n]+)_(?!\w)"
    r"|(?<!\w)~(?P<s>[^~\n]+)~(?!\w)"
)
# A bare machine has no font with these, and the header of an alert begins with one.
_SIGNS = {"🔴": "red", "🟠": "orange", "🟡": "yellow", "🔵": "blue", "✅": "green"}


@dataclass(frozen=True)
class Block:
    """One block: what it is, its text, and its fields or elements."""

    kind: str
    text: Markup
    items: tuple[Markup, ...] = ()


def blocks_of(payload: dict[str, Any]) -> list[Block]:
    """The blocks of a message; its text where it has none."""
    blocks = payload.get("blocks")
    if isinstance(blocks, list) and blocks:
        return [_block(block) for block in blocks]
    return [Block("section", mrkdwn(str(payload.get("text", ""))))]


def mrkdwn(text: str) -> Markup:
    """Bold, italic, struck, code, links and mentions; all else is letters."""
    return Markup().join(_spans(text))


def _spans(text: str) -> Iterator[Markup]:
    end = 0
    for found in _SPAN.finditer(text):
        yield plain(text[end : found.start()])
        yield _span(found)
        end = found.end()
    yield plain(text[end:])


def _span(found: re.Match[str]) -> Markup:
    if found["url"]:
        label = plain(found["label"] or found["url"])
        return Markup('<a href="{}" rel="noopener noreferrer">{}</a>').format(
            plain(found["url"]), label
        )
    if found["mention"]:
        return Markup("<mark>@{}</mark>").format(plain(found["mention"][1:]))
    tag = str(found.lastgroup)
    return Markup(f"<{tag}>{{}}</{tag}>").format(plain(found[tag]))  # noqa: S704 - a name of ours


def plain(text: str) -> Markup:
    """Text in which Slack's three escapes are undone, and HTML's are done."""
    return escape(text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


def _block(block: Any) -> Block:
    kind = block.get("type") if isinstance(block, dict) else None
    if kind in ("header", "section", "context", "divider"):
        items = block.get("fields") or block.get("elements")
        texts = tuple(_text(item) for item in items) if isinstance(items, list) else ()
        text = _text(block.get("text"))
        return Block(str(kind), _signed(text) if kind == "header" else text, texts)
    return Block("raw", escape(json.dumps(block, ensure_ascii=False, indent=2)))


def _signed(text: Markup) -> Markup:
    """A header whose leading sign is drawn, not written."""
    colour = _SIGNS.get(text[:1])
    if colour is None:
        return text
    return Markup('<span class="sign {}"></span>{}').format(colour, text[1:].lstrip())


def _text(value: Any) -> Markup:
    if not isinstance(value, dict):
        return Markup()
    text = str(value.get("text", ""))
    return mrkdwn(text) if value.get("type") == "mrkdwn" else plain(text)
