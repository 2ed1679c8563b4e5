"""What every kind of channel is, gets and answers."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from marshmallow import Schema, fields, validate

from app.channels.egress import Egress
from app.config import SlackDefaults, SmtpDefaults

if TYPE_CHECKING:
    from app.channels.transport import Transport

Config = dict[str, Any]
_PACE = re.compile(r"([1-9][0-9]{0,3})/([sm])", re.ASCII)
_SECONDS = {"s": 1.0, "m": 60.0}


class Outcome(StrEnum):
    """What became of one attempt; only a transient one is tried again."""

    DELIVERED = "delivered"
    TRANSIENT = "transient"
    PERMANENT = "permanent"


@dataclass(frozen=True)
class Pace:
    """A bucket of `burst` tokens, to which one is added every `interval` seconds."""

    interval: float
    burst: int

    @classmethod
    def of(cls, text: str, burst: int) -> "Pace":
        """From `10/s` or `30/m`."""
        found = _PACE.fullmatch(text)
        assert found is not None
        return cls(_SECONDS[found[2]] / int(found[1]), burst)


class ChannelConfig(Schema):
    """What a channel of any kind may be told."""

    rate_limit = fields.String(
        validate=validate.Regexp(
            r"(?:[1-9][0-9]{0,3}/[sm]|off)\Z", error="write 10/s, 30/m or off"
        ),
        metadata={"description": "messages a second or a minute, such as 10/s or 30/m; or off"},
    )
    rate_burst = fields.Integer(
        strict=True,
        validate=validate.Range(1, 1000),
        metadata={"description": "how many may go at once after a rest"},
    )


@dataclass(frozen=True)
class Notice:
    """One message for one target; `id` stays the same over retries and redrives.

    `event` has `id`, `type` and `accepted_at`, and what was sent as its `body`; it is empty where it is gone, and in a
    `digest`, which stands for many notifications that were held back. Its `id` is None where an event never came.
    `first` is what the receiver answered to the first message of the alert, for channels that keep threads. Where it is
    `late`, some of several recipients are better than none.
    """

    id: str
    kind: str
    timestamp: datetime
    address: str
    alert: Mapping[str, Any]
    rule: Mapping[str, Any]
    event: Mapping[str, Any]
    message: str
    explanation: Mapping[str, Any] | None = None
    digest: Mapping[str, Any] | None = None
    first: str | None = None
    url: str | None = None
    late: bool = False


@dataclass(frozen=True)
class Request:
    """What one attempt sends, to be shown: no secret is in it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Verdict:
    """The outcome of one attempt, and what the receiver answered."""

    outcome: Outcome
    status: int | None
    detail: str
    retry_after: float | None = None
    response: str = ""
    latency: float = 0.0
    disable_channel: bool = False


@dataclass(frozen=True)
class ChannelDefaults:
    """What the environment says about addresses that no named channel has."""

    slack: SlackDefaults = field(default_factory=SlackDefaults)
    smtp: SmtpDefaults = field(default_factory=SmtpDefaults)
    apprise: bool = False


class AddressError(ValueError):
    """An address that a kind of channel cannot reach, and what would help."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Channel(ABC):
    """A kind of channel; each file in this package that has one names it `CHANNEL`."""

    kind: str
    label: str
    config_schema: Schema
    # Where the config names none; a kind whose receivers limit everybody sets it.
    rate_limit = "off"
    rate_burst = 5
    # Whether it is told that somebody acknowledged an alert, and has a use for that.
    hears_acknowledged = False

    def pace(self, config: Config) -> Pace | None:
        """How fast messages may follow one another; None where nothing limits them."""
        limit = config.get("rate_limit") or self.rate_limit
        burst = config.get("rate_burst") or self.rate_burst
        return None if limit == "off" else Pace.of(limit, burst)

    def threads(self, config: Config) -> bool:
        """Whether a message wants to know what was answered to the first of its alert."""
        return False

    def receiver(self, address: str) -> str:
        """What stands for all addresses that fail together; never a secret."""
        return address

    @property
    def secret_fields(self) -> frozenset[str]:
        """The names in a config that are encrypted at rest and never shown."""
        fields = self.config_schema.fields.items()
        return frozenset(name for name, field in fields if field.metadata.get("secret"))

    @property
    def sent_secrets(self) -> frozenset[str]:
        """Those of them that the receiver is shown; one that only `signs` stays here."""
        fields = self.config_schema.fields
        return frozenset(n for n in self.secret_fields if not fields[n].metadata.get("signs"))

    def place(self, config: Config) -> tuple[str, str] | None:
        """The field that says where the secrets beside it are sent, and that URL.

        None where a secret says so itself.
        """
        return None

    @abstractmethod
    def resolve(self, address: str, defaults: ChannelDefaults) -> Config:
        """The config for an address that is no named channel; raises `AddressError`."""

    def with_defaults(self, config: Config) -> Config:
        """A new channel's config with what was left out, such as a secret, filled in."""
        return config

    def complete(self, config: Config, defaults: ChannelDefaults) -> Config:
        """A named channel's config with what the environment says where it is silent; raises `AddressError`."""
        return config

    @abstractmethod
    def check_config(self, config: Config, egress: Egress) -> None:
        """Refuse a config that could never be delivered to; raises `UrlNotAllowed`."""

    @abstractmethod
    def send(self, notice: Notice, config: Config, transport: "Transport") -> Verdict:
        """Make one attempt. Every failure of the receiver or the network is a verdict."""

    def request(self, notice: Notice, config: Config) -> Request | None:
        """What `send` would send, with a config whose secrets are hidden; None where a kind does not tell."""
        return None
