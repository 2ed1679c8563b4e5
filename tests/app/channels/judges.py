"""What others' libraries make of our messages: each judge takes what its service would, and fails on anything else."""

import json
from dataclasses import dataclass
from typing import Any

from discord import Embed
from microsoft_teams.cards import AdaptiveCard, OpenUrlAction, RichTextBlock, TextRun
from slack_sdk.models.blocks import Block
from tdjson import td_execute

EMBED_LIMIT = 6000
TEAMS_LIMIT = 28 * 1024
TELEGRAM_LIMIT = 4096
# Of what TDLib finds in a text, what would call somebody or lead somewhere.
_LIVE = ("Mention", "Hashtag", "Cashtag", "BotCommand", "Url", "EmailAddress", "PhoneNumber")
_CODE = ("Pre", "PreCode", "Code")
# It tells each call otherwise.
td_execute(b'{"@type": "setLogVerbosityLevel", "new_verbosity_level": 0}')


def of_slack(payload: dict[str, Any]) -> list[Block]:
    """The blocks, as Slack's own library has them."""
    blocks: list[Block] = list(Block.parse_all(payload["blocks"]))
    for block in blocks:
        block.validate_json()
    assert payload["text"].strip()
    return blocks


def of_teams(message: dict[str, Any]) -> list[str]:
    """The lines of the card, each part of which Microsoft's own models know, and know nothing more of."""
    [attachment] = message["attachments"]
    card = dict(attachment["content"])
    # The one name that no card of theirs has, and every card of their schema may have.
    assert card.pop("$schema").endswith("/adaptive-card.json")
    _whole(AdaptiveCard, card)
    for action in card.get("actions", ()):
        _whole(OpenUrlAction, action)
    lines = []
    for block in card["body"]:
        _whole(RichTextBlock, block)
        lines.append("".join(_whole(TextRun, run).text or "" for run in block["inlines"]))
    sent = json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
    assert len(sent) <= TEAMS_LIMIT
    return lines


def _whole(model: Any, given: dict[str, Any]) -> Any:
    made = model.model_validate(given)
    assert made.model_extra in (None, {}), made.model_extra
    assert made.model_dump(by_alias=True, exclude_none=True) == given
    return made


def of_discord(message: dict[str, Any]) -> Embed:
    """The embed as discord.py has it, which counts its texts as Discord does."""
    [given] = message["embeds"]
    embed = Embed.from_dict(given)
    read: dict[str, Any] = {**embed.to_dict()}
    # What is empty they leave out.
    assert {name: read.get(name, "") for name in given} == given
    assert 0 < len(embed) <= EMBED_LIMIT
    assert all(field.name and field.value for field in embed.fields)
    return embed


@dataclass(frozen=True)
class Shown:
    """A message of Telegram: its text, what is marked up and how, and what would call somebody or lead somewhere."""

    text: str
    marked: list[tuple[str, str]]
    live: list[str]


def of_telegram(html: str) -> Shown:
    """The message as TDLib parses it, which Telegram's own servers of the Bot API do it with."""
    style = {"@type": "textParseModeHTML"}
    parsed = _tdlib("parseTextEntities", text=html, parse_mode=style)
    assert parsed["@type"] == "formattedText", parsed
    text, marks = parsed["text"], parsed["entities"]
    assert 0 < len(_units(text)) // 2 <= TELEGRAM_LIMIT
    code = [range(*_place(mark)) for mark in marks if _kind(mark) in _CODE]
    found = [one for one in _tdlib("getTextEntities", text=text)["entities"] if _kind(one) in _LIVE]
    outside = [one for one in found if not any(one["offset"] in span for span in code)]
    return Shown(
        text,
        [(_kind(mark), _part(text, mark)) for mark in marks],
        [_part(text, one) for one in outside],
    )


def _tdlib(method: str, **given: Any) -> dict[str, Any]:
    said = td_execute(json.dumps({"@type": method} | given).encode())
    assert said is not None
    answer: dict[str, Any] = json.loads(said)
    return answer


def _kind(entity: dict[str, Any]) -> str:
    return str(entity["type"]["@type"]).removeprefix("textEntityType")


def _place(entity: dict[str, Any]) -> tuple[int, int]:
    return entity["offset"], entity["offset"] + entity["length"]


def _units(text: str) -> bytes:
    """Telegram counts in UTF-16."""
    return text.encode("utf-16-le")


def _part(text: str, entity: dict[str, Any]) -> str:
    begin, end = _place(entity)
    return _units(text)[2 * begin : 2 * end].decode("utf-16-le")
