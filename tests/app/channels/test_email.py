"""Mail, handed in at real SMTP servers."""

import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import pytest
from marshmallow import ValidationError

from app.channels import transport as module
from app.channels.base import AddressError, ChannelDefaults, Notice, Outcome
from app.channels.egress import Egress, UrlNotAllowed
from app.channels.transport import Transport
from app.config import SmtpDefaults
from tests.app.channels.certificates import Authority
from tests.app.channels.conftest import Serve, Start
from tests.app.channels.mailserver import EMAIL, PASSWORD, USER, MailServer, bare, config, send_to

Make = Callable[..., Notice]
LOGIN = f"{USER}:{quote(PASSWORD, safe='')}@"


@pytest.fixture
def trusting(authority: Authority) -> Iterator[Transport]:
    """A transport that may reach this machine, and trusts the tests' authority."""
    transport = Transport(Egress(["localhost", "127.0.0.1"]), authority.trusting())
    yield transport
    transport.close()


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
