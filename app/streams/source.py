"""What a stream of messages is to Sentinel, whatever carries it."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from app.services.errors import Refusal

# A transaction costs less for each event the more there are in it; in memory they stay at about so many bytes.
MOST_AT_ONCE = 2000
FIRST_AT_ONCE = 500
BYTES_AT_ONCE = 4 << 20
WAIT_SECONDS = 1.0


class SourceError(Exception):
    """The stream's server does not answer, or refuses; it is asked again."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `position` is its place in the stream, and never another's. `raw` is None where it has no event."""

    position: str
    raw: bytes | None


def appetite(messages: Sequence[Message]) -> int:
    """How many messages to read next, if they are as large as these."""
    size = sum(len(message.raw or b"") for message in messages)
    return max(1, min(MOST_AT_ONCE, BYTES_AT_ONCE * len(messages) // max(1, size)))


class Source(ABC):
    """A stream, as one member of its group of consumers reads it; each method raises `SourceError`."""

    kind: str
    name: str

    @abstractmethod
    def read(self, most: int) -> Sequence[Message]:
        """The next messages, also those that another consumer left unfinished; waits about a second for some."""

    @abstractmethod
    def bury(self, message: Message, why: Refusal) -> None:
        """Put a message that can never be accepted where dead letters go, with the reason."""

    @abstractmethod
    def finish(self, messages: Sequence[Message]) -> None:
        """Never read these again: they are stored, or buried."""

    @abstractmethod
    def lag(self) -> int:
        """How many messages of this consumer's share are not finished."""

    @abstractmethod
    def close(self) -> None:
        """Leave the group, so that others take over at once."""
