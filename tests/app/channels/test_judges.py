"""Whatever an event says, each service's message is one that a library which others made takes."""

import json
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from app.channels import letter, registry
from app.channels.base import Channel, Notice
from app.channels.blocks import render
from app.channels.facts import ACKNOWLEDGED, RESOLVED
from app.channels.posting import PostingChannel
from tests.app.channels import judges

URL = "https://sentinel.example/alerts/1?a=1&b=%22"
TEXTS = st.one_of(
    st.text(max_size=40),
    st.text(alphabet="<>&@/#*_`~[](){}|\\.:-!\"' \n\r\t\0\ud800🎉é0a", max_size=400),
    st.sampled_from(
        [
            "@everybody <@1> <!channel> <at>all</at>",
            "https://evil.example /start a@evil.example #tag",
            "</pre></code><b>",
            "&amp;&lt;" * 400,
            "🎉" * 3000,
            "x" * 9000,
        ]
    ),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
SEVERITIES = st.sampled_from(["critical", "high", "warning", "info"])


@st.composite
def notices(draw: st.DrawFn) -> Notice:
    """What the service hands to a channel, with an event and a message of any kind."""
    body = draw(st.dictionaries(TEXTS, VALUES, max_size=14))
    return Notice(
        id="0198a0aa-0000-7000-8000-000000000001",
        kind=draw(st.sampled_from(["alert.opened", ACKNOWLEDGED, RESOLVED, "channel.test"])),
        timestamp=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        address="ops",
        alert={"id": "a1", "count": 1},
        rule={"id": "r1", "name": "Orders", "version": 1, "severity": draw(SEVERITIES)},
        event={"id": "e1", "type": draw(TEXTS), "body": body},
        message=draw(TEXTS),
        url=draw(st.sampled_from([None, URL])),
    )


LONGEST = Notice(
    id="m",
    kind="alert.opened",
    timestamp=datetime(2026, 1, 2, tzinfo=UTC),
    address="ops",
    alert={"id": "a1"},
    rule={"name": "*" * 9000, "severity": "high"},
    event={
        "id": "e1",
        "type": "*" * 9000,
        "body": {f"{n}{'*' * 9000}": "*" * 9000 for n in range(20)},
    },
    message="*" * 9000,
    url=URL,
)


def posted(kind: str, notice: Notice, **config: str) -> dict[str, Any]:
    channel: Channel = registry.get(kind)
    assert isinstance(channel, PostingChannel)
    message: dict[str, Any] = json.loads(channel.body(notice, dict(config)))
    return message


@given(notices())
@example(LONGEST)
def test_slacks_library_takes_each_message(notice: Notice) -> None:
    judges.of_slack(render(notice))


@given(notices())
@example(LONGEST)
def test_microsofts_models_know_each_part_of_each_card(notice: Notice) -> None:
    lines = judges.of_teams(posted("teams", notice))
    assert lines[0].endswith("Orders") or notice is LONGEST


@given(notices())
@example(LONGEST)
def test_discord_py_reads_each_embed_as_it_is_meant(notice: Notice) -> None:
    message = posted("discord", notice)
    embed = judges.of_discord(message)
    assert embed.url == notice.url
    assert embed.timestamp == notice.timestamp


@given(notices())
@example(LONGEST)
def test_telegrams_own_parser_finds_nothing_in_an_event_that_calls_or_leads(notice: Notice) -> None:
    shown = judges.of_telegram(posted("telegram", notice, chat_id="1")["text"])
    assert shown.live == []
    links = [text for kind, text in shown.marked if kind == "TextUrl"]
    assert links == (["Open in Sentinel"] if notice.url else [])


@given(notices())
@example(LONGEST)
def test_the_standard_library_reads_each_letter_without_a_defect(notice: Notice) -> None:
    sent = letter.write(notice, ["ops@example.com"], "sentinel@example.com").as_bytes()
    read = message_from_bytes(sent, policy=default)
    assert [part.defects for part in read.walk() if part.defects] == []
    assert all(not value.defects for value in read.values())
    plain = read.get_body(("plain",))
    assert plain is not None
    assert plain.get_content().replace("\r\n", "\n").rstrip("\n") == letter.text(notice).rstrip(
        "\n"
    )
