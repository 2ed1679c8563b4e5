"""One message by SMTP: over a connection of its own, to judged addresses, under one deadline.

`smtplib` leads the conversation. Left alone it would resolve names again, time each read by itself, and look up
the name of this host; so it is handed a socket, and says the address that this has.
"""

import smtplib
import ssl
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any

from app.channels.base import Outcome, Verdict
from app.channels.connections import CONNECT_SECONDS, dial
from app.channels.deadline import Deadline, DeadlineSocket
from app.channels.egress import Destination, Egress, UrlNotAllowed
from app.channels.facts import clean, line
from app.channels.transport import BLOCKED, Transport, describe
from app.mail import Server

MAX_ANSWERS = 64 * 1024
_KEPT = 1024


@dataclass(frozen=True)
class Letter:
    """A message as it goes over the wire, and its envelope."""

    sender: str
    to: Sequence[str]
    content: bytes
    # Not without those who are refused for now.
    to_all: bool = True


def judge_server(server: Server, egress: Egress) -> Destination:
    """Where a server is; raises as `Egress.destination` does."""
    return egress.destination(f"http://{server.authority}/", CONNECT_SECONDS)


def hand_in(letter: Letter, server: Server, egress: Egress, transport: Transport) -> Verdict:
    """Make one attempt; every failure is a verdict, and none sends a password without TLS."""
    began, deadline = time.monotonic(), transport.deadline()
    try:
        to = judge_server(server, egress)
        with closing(_Conversation(server, to, transport.tls, deadline)) as conversation:
            outcome, status, detail, said = conversation.deliver(letter)
            with suppress(OSError):
                conversation.docmd("QUIT")
    except UrlNotAllowed:
        return Verdict(Outcome.PERMANENT, None, BLOCKED)
    except smtplib.SMTPResponseException as error:
        outcome, status, detail, said = _refused(error.smtp_code, error.smtp_error)
    except (OSError, ValueError) as error:
        outcome, status, detail, said = Outcome.TRANSIENT, None, _describe(error), ""
    return Verdict(outcome, status, detail, response=said, latency=time.monotonic() - began)


_Told = tuple[Outcome, int | None, str, str]


class _Conversation(smtplib.SMTP):
    """What is said to one server; `smtplib` asks it for the socket, and to wrap that in TLS."""

    def __init__(
        self, server: Server, to: Destination, tls: ssl.SSLContext, deadline: Deadline
    ) -> None:
        super().__init__(local_hostname="localhost")
        self._server, self._to, self._tls, self._deadline = server, to, tls, deadline
        self._host = server.host

    def deliver(self, letter: Letter) -> _Told:
        """From the greeting to the answer that takes the message, or does not."""
        self._expect(self.connect(self._server.host, self._server.port))
        self._greet()
        if self._server.scheme == "smtp" and self._server.starttls:
            self.starttls(context=self)  # type: ignore[call-overload]  # of which it only asks `wrap_socket`
            self._greet()
        if self._server.user:
            self.login(self._server.user, self._server.password)
        self._expect(self.mail(letter.sender))
        refused = self._address(letter.to, to_all=letter.to_all)
        if len(refused) == len(letter.to):
            return _refused(*min((answer for _, answer in refused), key=lambda answer: answer[0]))
        code, said = self.data(letter.content)
        self._expect((code, said))
        told = "; ".join(f"{to}: {_refused(*answer)[2]}" for to, answer in refused)
        return Outcome.DELIVERED, code, f"not to {told}" if told else "delivered", _text(said)

    def _greet(self) -> None:
        self.ehlo_or_helo_if_needed()

    def _address(self, to: Sequence[str], *, to_all: bool) -> list[tuple[str, tuple[int, bytes]]]:
        """Name the recipients; gives those that are refused. For now is for all, if all shall get it and none twice."""
        refused = []
        for one in to:
            code, said = self.rcpt(one)
            if not 200 <= code < 300:
                if to_all and not 500 <= code < 600:
                    raise smtplib.SMTPResponseException(code, said)
                refused.append((one, (code, said)))
        return refused

    @staticmethod
    def _expect(answer: tuple[int, bytes]) -> None:
        if not 200 <= answer[0] < 300:
            raise smtplib.SMTPResponseException(*answer)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        sock, _ = dial(self._to, Deadline(self._deadline.left(CONNECT_SECONDS)))
        address = sock.getsockname()[0]
        self.local_hostname = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        mine = DeadlineSocket(sock)
        mine.renew(self._deadline, MAX_ANSWERS)
        return self.wrap_socket(mine, host) if self._server.scheme == "smtps" else mine

    def wrap_socket(self, sock: DeadlineSocket, server_hostname: str) -> DeadlineSocket:
        """Speak TLS from here on; closes what cannot."""
        try:
            sock.secure(self._tls, server_hostname)
        except BaseException:  # also the end of the process: nobody else would close it
            sock.close()
            raise
        return sock


def _refused(code: int, said: bytes | str) -> _Told:
    """What an answer that takes nothing means: 5xx never, 4xx not now, and anything else is none."""
    text = _text(said)
    # What is no bytes no server said: `smtplib` calls a line that is too long a 500.
    if not 400 <= code < 600 or isinstance(said, str):
        return Outcome.TRANSIENT, None, "no valid SMTP answer", text
    outcome = Outcome.TRANSIENT if code < 500 else Outcome.PERMANENT
    return outcome, code, line(f"SMTP {code}: {text}", 200), text


def _text(said: bytes | str) -> str:
    return clean(said.decode("utf-8", "replace") if isinstance(said, bytes) else said)[:_KEPT]


def _describe(error: OSError | ValueError) -> str:
    """What went wrong on the way, under what `smtplib` made of it."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "the server offers no STARTTLS, or no login: nothing was sent"
    if isinstance(error, smtplib.SMTPServerDisconnected) and error.__context__ is not None:
        return describe(error.__context__)
    return describe(error)
