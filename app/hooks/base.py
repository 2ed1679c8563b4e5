"""What a source of webhooks is: how its deliveries are signed, and which events they are."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

# How far a signed timestamp may be from our own time: what Stripe and Standard Webhooks recommend.
TOLERANCE: Final = timedelta(minutes=5)
LONGEST_SECONDS: Final = 12


class NotSigned(Exception):
    """A delivery that no secret of its source has signed; `str()` says what is missing or wrong."""


class NotUnderstood(ValueError):
    """A delivery that is signed, but is none of what its source sends."""


@dataclass(frozen=True)
class Delivery:
    """A request as it came: its headers by their lower-case names, its raw body, and when."""

    headers: Mapping[str, str]
    body: bytes
    at: datetime

    def header(self, name: str) -> str:
        """A header that its signature needs; raises `NotSigned`."""
        try:
            return self.headers[name.lower()]
        except KeyError:
            raise NotSigned(f"the header {name} is missing") from None


@dataclass(frozen=True)
class Heard:
    """One event of a delivery.

    `key` is what its repetitions share. `fields` are the payload's own; `type` and `time` come on top of them.
    """

    type: str
    key: str
    fields: Mapping[str, Any]
    time: datetime | None = None

    def body(self) -> dict[str, Any]:
        """The event as rules read it."""
        body = {**self.fields, "type": self.type}
        return body if self.time is None else {**body, "time": self.time.isoformat()}


class Source(ABC):
    """A service whose webhooks come to `/hooks/<name>`."""

    name: ClassVar[str]
    label: ClassVar[str]
    # Whether one delivery may hold many events, and so be as large as a batch.
    batches: ClassVar[bool] = False

    def check_secret(self, secret: str) -> None:  # noqa: B027 - most take any text
        """Refuse a secret that can sign nothing; raises `ValueError`."""

    @abstractmethod
    def check(self, delivery: Delivery, secret: str) -> None:
        """Refuse what `secret` has not signed, or too long ago; raises `NotSigned`."""

    @abstractmethod
    def sign(self, delivery: Delivery, secret: str) -> Mapping[str, str]:
        """The headers by which the service shows that it knows `secret`, for an example of our own."""

    @abstractmethod
    def events(self, delivery: Delivery, payload: Mapping[str, Any]) -> Sequence[Heard]:
        """The events of a delivery whose body says `payload`; raises `NotUnderstood`."""


def text_of(payload: Mapping[str, Any], name: str) -> str:
    """A text that every payload of the source has; raises `NotUnderstood`."""
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise NotUnderstood(f"the body's `{name}` is no text")
    return value


def moment_of(value: object) -> datetime | None:
    """A time in seconds since 1970, or in RFC 3339; None where it is neither."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        # Go's zero time says that there is none.
        if isinstance(value, str) and not value.startswith("0001-"):
            found = datetime.fromisoformat(value)
            return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError, OSError):
        pass
    return None


def seconds_of(text: str) -> datetime | None:
    """The time that a header tells in seconds since 1970; None where it tells none."""
    digits = text.isascii() and text.isdigit() and len(text) <= LONGEST_SECONDS
    return moment_of(int(text)) if digits else None
