"""Real SMTP servers: with STARTTLS, with TLS from the beginning, with logins, and without."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from app.channels import registry
from app.channels.base import Notice, Verdict
from app.channels.transport import Transport

EMAIL = registry.get("email")
USER, PASSWORD = "sentinel", "p@ss:w/rd"


@dataclass(frozen=True)
class Taken:
    """One message that a server took."""

    sender: str
    to: list[str]
    content: bytes
    secure: bool

    @property
    def letter(self) -> EmailMessage:
        """As a mail program reads it."""
        return message_from_bytes(self.content, policy=default)


class MailServer:
    """A server in a thread of its own; `answers` says what it answers to a recipient, or to `DATA`."""

    def __init__(self, *, answers: Mapping[str, str] | None = None, **options: Any) -> None:
        self.taken: list[Taken] = []
        self.logins: list[str] = []
        self.answers = answers or {}
        implicit = options.pop("implicit", None)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

        def serve() -> SMTP:
            return SMTP(self, hostname="mail.example", loop=self._loop, **options)

        making = self._loop.create_server(serve, "127.0.0.1", 0, ssl=implicit)
        self._server = asyncio.run_coroutine_threadsafe(making, self._loop).result(10)
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Take no more."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def authenticator(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        """Know one user."""
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        known = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
        return AuthResult(success=known, handled=False)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient, or do not."""
        answer = self.answers.get(address, "250 OK")
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Take a message, or do not."""
        answer = self.answers.get("DATA", "250 2.0.0 queued as 42")
        if answer.startswith("2"):
            assert server.transport is not None
            secure = server.transport.get_extra_info("ssl_object") is not None
            to = [str(one) for one in envelope.rcpt_tos]
            assert isinstance(envelope.content, bytes)
            self.taken.append(Taken(str(envelope.mail_from), to, envelope.content, secure))
        return answer


def config(url: str, to: str = "ops@example.com", **more: Any) -> dict[str, Any]:
    return {"to": to, "smtp_url": url, "sender": "Sentinel <sentinel@example.com>", **more}


def bare(server: MailServer) -> str:
    return f"smtp://127.0.0.1:{server.port}?starttls=off"


def send_to(server: MailServer, notice: Notice, transport: Transport, **more: Any) -> Verdict:
    return EMAIL.send(notice, config(bare(server), **more), transport)
