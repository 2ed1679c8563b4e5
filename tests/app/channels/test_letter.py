"""What a mail says, and that no text in it is read as anything else."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.channels.base import Notice, Outcome
from app.channels.letter import subject, write
from app.channels.transport import Transport
from tests.app.channels.mailserver import MailServer, send_to

Make = Callable[..., Notice]


def test_the_message_has_plain_text_and_html(
    plain: MailServer, transport: Transport, make_notice: Make
) -> None:
    send_to(plain, make_notice(), transport)
    letter = plain.taken[0].letter
    assert letter["From"] == "Sentinel <sentinel@example.com>"
    assert letter["Subject"] == "[high] High value orders"
    assert letter["Date"].datetime == make_notice().timestamp
    assert letter["Auto-Submitted"] == "auto-generated"
    text, html = (letter.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    for part in ("Order of 900", "amount: 900", "customer: Ada", "Event e1"):
        assert part in text.get_content()
    for part in ("Order of 900", "<td", ">900<", "Event e1"):
        assert part in html.get_content()


def test_a_repetition_is_the_same_message_to_the_letter(
    plain: MailServer, transport: Transport, make_notice: Make
) -> None:
    for _ in range(2):
        send_to(plain, make_notice(), transport)
    first, second = plain.taken
    assert first.content == second.content
    assert first.letter["Message-ID"] == "<msg_01@example.com>"


def test_the_messages_of_one_alert_refer_to_the_same(
    plain: MailServer, transport: Transport, make_notice: Make
) -> None:
    send_to(plain, make_notice(), transport)
    send_to(plain, make_notice(id="msg_02", kind="alert.resolved"), transport)
    send_to(plain, make_notice(id="msg_03", alert={"id": "a2"}), transport)
    letters = [taken.letter for taken in plain.taken]
    threads = ["<alert-a1@example.com>", "<alert-a1@example.com>", "<alert-a2@example.com>"]
    assert [letter["References"] for letter in letters] == threads
    assert [letter["In-Reply-To"] for letter in letters] == threads
    assert letters[1]["Subject"] == "[high] Resolved: High value orders"


@pytest.mark.parametrize(
    ("key", "subject"),
    [
        ('["web1"]', "[high] High value orders: web1"),
        ('["web1", 7, null]', "[high] High value orders: web1, 7, null"),
        ('["a\\r\\nBcc: b"]', "[high] High value orders: a Bcc: b"),
        ("", "[high] High value orders"),
        ("{", "[high] High value orders"),
    ],
)
def test_the_subject_says_which_of_many_alerts_it_is(
    plain: MailServer, transport: Transport, make_notice: Make, key: str, subject: str
) -> None:
    send_to(plain, make_notice(alert={"id": "a1", "key": key}), transport)
    assert plain.taken[0].letter["Subject"] == subject


@pytest.mark.parametrize(
    "evil",
    [
        "x\r\nBcc: victim@example.com",
        "x\nBcc: victim@example.com\n\nbody",
        "x\r\n.\r\nMAIL FROM:<a@example.com>",
        "x\u2028Bcc: victim@example.com",
        "x\x85Bcc: victim@example.com\0",
        "\ud800 half a pair",
        "y" * 5000,
    ],
)
def test_no_text_becomes_a_header_or_a_command(
    plain: MailServer, transport: Transport, make_notice: Make, evil: str
) -> None:
    rule = {"id": "r1", "name": evil, "version": 1, "severity": evil}
    event = {"id": evil, "type": evil, "body": {evil: evil}}
    answer = send_to(plain, make_notice(rule=rule, event=event, message=evil), transport)
    assert answer.outcome is Outcome.DELIVERED
    [taken] = plain.taken
    assert taken.to == ["ops@example.com"]
    assert taken.letter["Bcc"] is None
    assert len(taken.letter["Subject"]) <= 200
    assert max(map(len, taken.content.splitlines())) <= 998
    assert [part.get_content_type() for part in taken.letter.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]


ENCODED = (
    "=?utf-8?q?x=0aBcc:_victim@example.com?=",
    "=?utf-8?b?eA0KQmNjOiB2aWN0aW1AZXhhbXBsZS5jb20=?=",
    "=?utf-8?q?x=0d=0a=0d=0abody?= Überlauf",
    "a=?utf-8?q?b?= c",
    "日本語 の とても 長い 件名 です " * 5,
    "word " * 40,
)


@pytest.mark.parametrize("said", ENCODED)
def test_the_subject_is_read_as_it_was_said_whatever_it_looks_like(
    plain: MailServer, transport: Transport, make_notice: Make, said: str
) -> None:
    notice = make_notice(alert={"id": "a1", "key": json.dumps([said])})
    answer = send_to(plain, notice, transport)
    assert answer.outcome is Outcome.DELIVERED
    read = plain.taken[0].letter
    assert read["Subject"] == subject(notice)
    assert (read["Bcc"], read["Auto-Submitted"]) == (None, "auto-generated")


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=300))
def test_no_text_is_another_as_a_subject(said: str) -> None:
    notice = Notice(
        id="m",
        kind="alert.opened",
        timestamp=datetime(2026, 1, 2, tzinfo=UTC),
        address="",
        alert={},
        rule={"name": said, "severity": "high"},
        event={},
        message="",
    )
    written = write(notice, ["ops@example.com"], "sentinel@example.com").as_bytes()
    assert message_from_bytes(written, policy=default)["Subject"] == subject(notice)
    assert max(map(len, written.splitlines())) <= 998


@pytest.mark.parametrize(
    "name",
    [
        "Jörg (Ops)",
        "Ops [x]",
        "=?utf-8?q?x=0aBcc=3a_victim=40example.com?=",
    ],
)
def test_who_it_is_from_is_read_as_it_was_said(
    plain: MailServer, transport: Transport, make_notice: Make, name: str
) -> None:
    send_to(plain, make_notice(), transport, sender=f"{name} <sentinel@example.com>")
    read = plain.taken[0].letter
    [sender] = read["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (name, "sentinel@example.com")
    assert read["Bcc"] is None


@pytest.mark.parametrize("domain", ["example.com", "a.rather.long.name.of.a.host.example.com"])
def test_ids_are_whole_however_long_the_senders_domain(
    plain: MailServer, transport: Transport, make_notice: Make, domain: str
) -> None:
    key = "0197a3c2-0000-7000-8000-000000000001"
    notice = make_notice(id=key, alert={"id": key})
    send_to(plain, notice, transport, sender=f"sentinel@{domain}")
    lines = plain.taken[0].content.decode().replace(":\r\n ", ": ").splitlines()
    assert f"Message-ID: <{key}@{domain}>" in lines
    assert f"In-Reply-To: <alert-{key}@{domain}>" in lines
    assert f"References: <alert-{key}@{domain}>" in lines


def test_markup_in_an_event_is_text(
    plain: MailServer, transport: Transport, make_notice: Make
) -> None:
    evil = '<img src=x onerror="alert(1)">'
    rule = {"id": "r1", "name": evil, "version": 1, "severity": "high"}
    body = {"type": "order", evil: evil}
    event = {"id": "e1", "type": "order", "body": body}
    send_to(plain, make_notice(rule=rule, event=event, message=evil), transport)
    html = plain.taken[0].letter.get_body(("html",))
    assert html is not None
    assert "<img" not in html.get_content()
    assert html.get_content().count("&lt;img") == 4


def test_a_line_with_a_dot_ends_nothing(
    plain: MailServer, transport: Transport, make_notice: Make
) -> None:
    send_to(plain, make_notice(message="before\n.\n..after"), transport)
    text = plain.taken[0].letter.get_body(("plain",))
    assert text is not None
    assert "before\n.\n..after" in text.get_content().replace("\r\n", "\n")
