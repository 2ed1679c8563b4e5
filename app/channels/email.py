"""Mail by SMTP: to an address through the operator's server, or to a list through one of its own."""

from marshmallow import ValidationError, fields, validate

from app.channels import letter
from app.channels.base import (
    AddressError,
    Channel,
    ChannelConfig,
    ChannelDefaults,
    Config,
    Notice,
    Request,
    Verdict,
)
from app.channels.egress import Egress, Unresolved
from app.channels.smtp import Letter, hand_in, judge_server
from app.channels.transport import Transport
from app.mail import Server, is_address, sender_of, server_of

MOST = 50
# Who is `email:SMTP_URL/`: no channel can be called that.
OPERATORS = "SMTP_URL/"


def _check_to(value: str) -> None:
    found = _addresses(value)
    if not 0 < len(found) <= MOST or not all(map(is_address, found)):
        raise ValidationError(f"must be 1 to {MOST} addresses, separated by commas")


def _check_server(value: str) -> None:
    try:
        server_of(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _check_sender(value: str) -> None:
    try:
        sender_of(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


class EmailConfig(ChannelConfig):
    """What a named list of recipients is made of."""

    to = fields.String(
        required=True,
        validate=[validate.Length(max=10_000), _check_to],
        metadata={"description": "addresses, separated by commas"},
    )
    smtp_url = fields.String(
        validate=_check_server,
        metadata={
            "secret": True,
            "description": "such as smtp://user:password@host:587 or smtps://…; else SMTP_URL",
        },
    )
    sender = fields.String(
        validate=_check_sender,
        metadata={"description": "whom it is from, if not SMTP_FROM"},
    )


class EmailChannel(Channel):
    """Messages by mail, in plain text and HTML."""

    kind = "email"
    label = "Email"
    config_schema = EmailConfig()

    def resolve(self, address: str, defaults: ChannelDefaults) -> Config:
        if not is_address(address):
            raise AddressError(
                f"there is no email channel {address!r}",
                "create a channel of that name, or write an address: email:ops@example.com",
            )
        return self.complete({"to": address}, defaults)

    def receiver(self, address: str) -> str:
        """All addresses go through one server."""
        return OPERATORS if is_address(address) else address

    def complete(self, config: Config, defaults: ChannelDefaults) -> Config:
        """With the operator's server and sender, where it has none; the server is then `trusted`."""
        smtp = defaults.smtp
        if "smtp_url" not in config:
            config = {**config, "smtp_url": _required("SMTP_URL", smtp.url), "trusted": True}
        return {"sender": config.get("sender") or _required("SMTP_FROM", smtp.sender)} | config

    def check_config(self, config: Config, egress: Egress) -> None:
        if config.get("trusted"):
            return
        try:
            judge_server(server_of(config["smtp_url"]), egress)
        except Unresolved:
            return

    def send(self, notice: Notice, config: Config, transport: Transport) -> Verdict:
        to, server = _addresses(config["to"]), server_of(config["smtp_url"])
        written = letter.write(notice, to, config["sender"]).as_bytes()
        sender = sender_of(config["sender"])[1]
        guard = _guard(config, server, transport.egress)
        return hand_in(Letter(sender, to, written, not notice.late), server, guard, transport)

    def request(self, notice: Notice, config: Config) -> Request:
        written = letter.write(notice, _addresses(config["to"]), config["sender"])
        shown = {name: str(value) for name, value in written.items() if "-" not in name}
        return Request("MAIL", config["to"], shown, letter.text(notice))


def _guard(config: Config, server: Server, egress: Egress) -> Egress:
    """What the operator's own server is judged by: it may be private, and nothing else may be for its sake.

    No channel's config can say `trusted`: the schema refuses it.
    """
    return Egress([server.authority]) if config.get("trusted") else egress


def _addresses(text: str) -> list[str]:
    return [one for each in text.split(",") if (one := each.strip())]


def _required(variable: str, value: str | None) -> str:
    if value is None:
        raise AddressError(
            f"nothing says how to send mail: {variable} is not set", f"set {variable}"
        )
    return value


CHANNEL = EmailChannel()
