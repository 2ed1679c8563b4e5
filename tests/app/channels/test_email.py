"""Mail, handed in at real SMTP servers."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError

from app.channels import registry
from app.channels import transport as module
from app.channels.base import AddressError, ChannelDefaults, Notice, Outcome, Verdict
from app.channels.egress import Egress, UrlNotAllowed
from app.channels.letter import subject, write
from app.channels.transport import Transport
from app.config import SmtpDefaults
from tests.app.channels.certificates import Authority
from tests.app.channels.conftest import Serve
from tests.app.channels.mailserver import PASSWORD, USER, MailServer

Make = Callable[..., Notice]
Start = Callable[..., MailServer]
EMAIL = registry.get("email")
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"


@pytest.fixture
def trusting(authority: Authority) -> Iterator[Transport]:
    """A transport that may reach this machine, and trusts the tests' authority."""
    transport = Transport(Egress(["localhost", "127.0.0.1"]), authority.trusting())
    yield transport
    transport.close()


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[MailServer] = []

    def make(**options: Any) -> MailServer:
        servers.append(MailServer(**options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def plain(start: Start) -> MailServer:
    """A server without TLS and logins."""
    return start()


def config(url: str, to: str = "ops@example.com", **more: Any) -> dict[str, Any]:
    return {"to": to, "smtp_url": url, "sender": "Sentinel <sentinel@example.com>", **more}


def bare(server: MailServer) -> str:
    return f"smtp://127.0.0.1:{server.port}?starttls=off"


def send_to(server: MailServer, notice: Notice, transport: Transport, **more: Any) -> Verdict:
    return EMAIL.send(notice, config(bare(server), **more), transport)


def with_starttls(start: Start, authority: Authority, **options: Any) -> MailServer:
    context = authority.serving()
    return start(tls_context=context, require_starttls=True, **options)


def test_starttls_comes_before_the_password_and_the_message(
    start: Start, authority: Authority, trusting: Transport, make_notice: Make
) -> None:
    server = with_starttls(start, authority, auth_required=True, **knowing())
    answer = EMAIL.send(make_notice(), config(f"smtp://{LOGIN}localhost:{server.port}"), trusting)
    assert (answer.outcome, answer.status) == (Outcome.DELIVERED, 250)
    assert answer.response == "2.0.0 queued as 42"
    [taken] = server.taken
    assert taken.secure
    assert server.logins == [USER]
    assert (taken.sender, taken.to) == ("sentinel@example.com", ["ops@example.com"])


def test_over_smtps_all_is_encrypted_from_the_first_byte(
    start: Start, authority: Authority, trusting: Transport, make_notice: Make
) -> None:
    server = start(implicit=authority.serving(), auth_require_tls=False, **knowing())
    url = f"smtps://{LOGIN}localhost:{server.port}"
    assert EMAIL.send(make_notice(), config(url), trusting).outcome is Outcome.DELIVERED
    assert server.taken[0].secure
    assert server.logins == [USER]


def knowing() -> dict[str, Any]:
    """Options of a server that knows a user."""

    def known(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> Any:
        return server.event_handler.authenticator(server, session, envelope, mechanism, data)

    return {"authenticator": known}


def test_a_wrong_password_is_permanent(
    start: Start, authority: Authority, trusting: Transport, make_notice: Make
) -> None:
    server = with_starttls(start, authority, **knowing())
    url = f"smtp://{USER}:wrong@localhost:{server.port}"
    answer = EMAIL.send(make_notice(), config(url), trusting)
    assert (answer.outcome, answer.status) == (Outcome.PERMANENT, 535)
    assert "wrong" not in answer.detail
    assert server.taken == []


def test_a_server_without_starttls_gets_neither_password_nor_message(
    start: Start, trusting: Transport, make_notice: Make
) -> None:
    server = start(auth_require_tls=False, **knowing())
    for login in ("", LOGIN):
        url = f"smtp://{login}localhost:{server.port}"
        answer = EMAIL.send(make_notice(), config(url), trusting)
        assert answer.outcome is Outcome.TRANSIENT
        assert "STARTTLS" in answer.detail
    assert (server.logins, server.taken) == ([], [])


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize(("host", "trusted"), [("localhost", False), ("127.0.0.1", True)])
def test_nothing_is_said_over_bad_tls(
    start: Start,
    authority: Authority,
    make_notice: Make,
    host: str,
    trusted: bool,
    implicit: bool,
) -> None:
    tls = {"implicit": authority.serving()} if implicit else {"tls_context": authority.serving()}
    server = start(**tls, **knowing())
    transport = Transport(Egress([host]), authority.trusting() if trusted else None)
    url = f"smtp{'s' if implicit else ''}://{LOGIN}{host}:{server.port}"
    answer = EMAIL.send(make_notice(), config(url), transport)
    assert answer.outcome is Outcome.TRANSIENT
    assert answer.detail.startswith("TLS: ")
    assert (server.logins, server.taken) == ([], [])


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


@pytest.mark.parametrize(
    ("said", "outcome", "status"),
    [
        ("421 4.3.2 going down", Outcome.TRANSIENT, 421),
        ("450 4.2.0 greylisted", Outcome.TRANSIENT, 450),
        ("452 4.2.2 mailbox full", Outcome.TRANSIENT, 452),
        ("550 5.1.1 no such user", Outcome.PERMANENT, 550),
        ("554 5.7.1 spam", Outcome.PERMANENT, 554),
        ("354 what", Outcome.TRANSIENT, None),
    ],
)
@pytest.mark.parametrize("at", ["ops@example.com", "DATA"])
def test_4xx_is_tried_again_and_5xx_is_not(
    start: Start,
    transport: Transport,
    make_notice: Make,
    said: str,
    outcome: Outcome,
    status: int | None,
    at: str,
) -> None:
    server = start(answers={at: said})
    answer = send_to(server, make_notice(), transport)
    assert (answer.outcome, answer.status) == (outcome, status)
    if status is not None:
        assert answer.detail == f"SMTP {said}".replace(f"{status} ", f"{status}: ")
    assert server.taken == []


def test_who_is_refused_for_good_takes_nothing_from_the_others(
    start: Start, transport: Transport, make_notice: Make
) -> None:
    server = start(answers={"gone@example.com": "550 5.1.1 no such user"})
    answer = send_to(server, make_notice(), transport, to="a@example.com, gone@example.com")
    assert answer.outcome is Outcome.DELIVERED
    assert answer.detail == "not to gone@example.com: SMTP 550: 5.1.1 no such user"
    assert server.taken[0].to == ["a@example.com"]


def test_who_is_refused_for_now_makes_all_wait_so_that_nobody_hears_it_twice(
    start: Start, transport: Transport, make_notice: Make
) -> None:
    server = start(answers={"grey@example.com": "450 4.2.0 greylisted"})
    answer = send_to(server, make_notice(), transport, to="a@example.com, grey@example.com")
    assert (answer.outcome, answer.status) == (Outcome.TRANSIENT, 450)
    assert server.taken == []


def test_who_is_refused_for_now_does_not_keep_a_late_message_from_the_others(
    start: Start, transport: Transport, make_notice: Make
) -> None:
    server = start(answers={"full@example.com": "452 4.2.2 mailbox full"})
    to = "a@example.com, full@example.com, b@example.com"
    answer = send_to(server, make_notice(late=True), transport, to=to)
    assert answer.outcome is Outcome.DELIVERED
    assert answer.detail == "not to full@example.com: SMTP 452: 4.2.2 mailbox full"
    assert server.taken[0].to == ["a@example.com", "b@example.com"]


def test_a_late_message_that_nobody_may_get_waits_for_who_may_get_it_later(
    start: Start, transport: Transport, make_notice: Make
) -> None:
    server = start(answers={"gone@example.com": "550 no", "grey@example.com": "450 greylisted"})
    to = "gone@example.com, grey@example.com"
    answer = send_to(server, make_notice(late=True), transport, to=to)
    assert (answer.outcome, answer.status) == (Outcome.TRANSIENT, 450)
    assert server.taken == []


@pytest.mark.parametrize("greeting", [b"", b"nonsense\r\n", b"HTTP/1.1 400 Bad\r\n", b"2" * 9000])
def test_what_does_not_speak_smtp_is_tried_again(
    serve: Serve, transport: Transport, make_notice: Make, greeting: bytes
) -> None:
    server = serve(lambda sock: sock.sendall(greeting))
    url = f"smtp://127.0.0.1:{server.port}?starttls=off"
    answer = EMAIL.send(make_notice(), config(url), transport)
    assert answer.outcome is Outcome.TRANSIENT
    assert answer.detail


def test_a_closed_port_is_tried_again(transport: Transport, make_notice: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"smtp://127.0.0.1:{port}?starttls=off"
    answer = EMAIL.send(make_notice(), config(url), transport)
    assert (answer.outcome, answer.detail) == (Outcome.TRANSIENT, "Connection refused")


def test_a_server_that_drips_is_left_at_the_deadline(
    serve: Serve, transport: Transport, make_notice: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SEND_SECONDS", 0.3)

    def drip(sock: socket.socket) -> None:
        sock.settimeout(0.02)
        while True:
            sock.sendall(b"2")
            with suppress(TimeoutError):
                sock.recv(1)

    url = f"smtp://127.0.0.1:{serve(drip).port}?starttls=off"
    answer = EMAIL.send(make_notice(), config(url), transport)
    assert (answer.outcome, answer.detail) == (Outcome.TRANSIENT, "timed out")


def test_a_channels_own_server_is_judged_and_the_operators_is_not(
    plain: MailServer, make_notice: Make
) -> None:
    guarded = Transport(Egress())
    own = config(bare(plain))
    with pytest.raises(UrlNotAllowed):
        EMAIL.check_config(own, guarded.egress)
    answer = EMAIL.send(make_notice(), own, guarded)
    assert (answer.outcome, answer.detail) == (Outcome.PERMANENT, "blocked_destination")
    assert plain.taken == []
    operators = EMAIL.complete({"to": "ops@example.com"}, defaults(bare(plain)))
    EMAIL.check_config(operators, guarded.egress)
    assert EMAIL.send(make_notice(), operators, guarded).outcome is Outcome.DELIVERED


def defaults(url: str | None, sender: str | None = "sentinel@example.com") -> ChannelDefaults:
    return ChannelDefaults(smtp=SmtpDefaults(url, sender))


def test_no_channel_can_claim_to_be_the_operators() -> None:
    with pytest.raises(ValidationError):
        EMAIL.config_schema.load(config("smtp://10.0.0.1") | {"trusted": True})
    own = EMAIL.complete(config("smtp://10.0.0.1"), defaults("smtp://mail.example"))
    assert "trusted" not in own


def test_an_address_uses_the_operators_server_and_sender() -> None:
    found = EMAIL.resolve("ops@example.com", defaults("smtp://mail.example"))
    assert (found["to"], found["sender"]) == ("ops@example.com", "sentinel@example.com")
    assert found["smtp_url"] == "smtp://mail.example"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ops",
        "a@",
        "@b",
        "a b@c.example",
        "a@b\n",
        "a@b.example,c@d.example",
        '"a"@b',
        "a@[::1]",
    ],
)
def test_any_other_address_may_be_a_mistyped_channel(address: str) -> None:
    with pytest.raises(AddressError) as refusal:
        EMAIL.resolve(address, defaults("smtp://mail.example"))
    assert "create a channel" in refusal.value.hint


@pytest.mark.parametrize(
    ("known", "missing"),
    [(defaults(None), "SMTP_URL"), (defaults("smtp://mail.example", None), "SMTP_FROM")],
)
def test_without_defaults_the_error_says_what_to_set(known: ChannelDefaults, missing: str) -> None:
    with pytest.raises(AddressError) as refusal:
        EMAIL.resolve("ops@example.com", known)
    assert missing in refusal.value.hint


def test_all_addresses_share_the_fate_of_the_operators_server() -> None:
    assert EMAIL.receiver("a@example.com") == EMAIL.receiver("b@example.org")
    assert EMAIL.receiver("team") == "team"


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"to": ""},
        {"to": "a@example.com,"} | {"to": "a@example.com, b"},
        {"to": "a@example.com\nBcc: b@example.com"},
        {"to": ",".join(["a@example.com"] * 51)},
        {"to": "a@example.com", "smtp_url": "http://mail.example"},
        {"to": "a@example.com", "smtp_url": "smtp://u:p@mail.example?starttls=off"},
        {"to": "a@example.com", "smtp_url": "smtp://u@mail.example"},
        {"to": "a@example.com", "smtp_url": "smtp://mail.example?tls=no"},
        {"to": "a@example.com", "smtp_url": "smtp://mail.example:99999"},
        {"to": "a@example.com", "smtp_url": "smtp://mail.example/x"},
        {"to": "a@example.com", "sender": "x\r\nBcc: b@example.com <a@example.com>"},
        {"to": "a@example.com", "sender": "nobody"},
    ],
)
def test_a_config_is_recipients_and_perhaps_a_server(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EMAIL.config_schema.load(wrong)


def test_what_is_shown_of_a_message_has_no_secret(make_notice: Make) -> None:
    shown = EMAIL.request(make_notice(), config("•••"))
    assert shown is not None
    assert shown.headers["Subject"] == "[high] High value orders"
    assert "Order of 900" in shown.body
