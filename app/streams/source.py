"""What a stream of messages is to Sentinel, whatever carries it."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from app.services.cloudevents import Headers
from app.services.errors import Refusal
from app.services.streams import Range

# A transaction costs less for each event the more there are in it; in memory they stay at about so many bytes.
MOST_AT_ONCE = 5000
FIRST_AT_ONCE = 500
BYTES_AT_ONCE = 4 << 20
WAIT_SECONDS = 1.0


class SourceError(Exception):
    """The stream's server does not answer, or refuses; it is asked again."""


class Message(NamedTuple):
    """One message, by its place in its log. `raw` is None where it has no event."""

    # An offset of Kafka, or an id of Redis as it is: few of them are ever looked at.
    place: int | bytes
    raw: bytes | None
    headers: Headers | None = None

    @property
    def number(self) -> int:
        """The place as a number that grows with each message of the log."""
        if isinstance(self.place, int):
            return self.place
        moment, _, place = self.place.partition(b"-")
        return int(moment) << 64 | int(place)


# A message of a log that can never be accepted, and why.
Dead = tuple[str, Message, Refusal]


@dataclass(frozen=True, slots=True)
class Run:
    """Messages that follow each other in a log; it has no others between them."""

    log: str
    messages: Sequence[Message]

    @property
    def range(self) -> Range:
        """What says that they were taken."""
        first, last = self.messages[0], self.messages[-1]
        return Range(self.log, first.number, last.number, len(self.messages))

    def without(self, taken: Sequence[Range]) -> Iterator["Run"]:
        """The runs that are left without what was taken."""
        mine = sorted(one for one in taken if one.log == self.log)
        lows = [one.low for one in mine]
        left: list[Message] = []
        for message in self.messages:
            before = bisect_right(lows, message.number)
            if not before or message.number > mine[before - 1].high:
                left.append(message)
            elif left:
                yield Run(self.log, left)
                left = []
        if left:
            yield Run(self.log, left)


def apart(runs: Sequence[Run]) -> Sequence[Run]:
    """The runs without what an earlier one has too: a log may be read again in the midst of a batch."""
    ranges = sorted(run.range for run in runs)
    if not any(one.log == next_.log and one.high >= next_.low for one, next_ in pairwise(ranges)):
        return runs
    found: list[Run] = []
    for run in runs:
        found += list(run.without([one.range for one in found]))
    return found


def appetite(runs: Sequence[Run]) -> int:
    """How many messages to read next, if they are as large as these."""
    count = sum(len(run.messages) for run in runs)
    size = sum(len(message.raw or b"") for run in runs for message in run.messages)
    return max(1, min(MOST_AT_ONCE, BYTES_AT_ONCE * count // max(1, size)))


def reason(why: Refusal) -> str:
    """What is wrong with a message, as its dead letter says it."""
    return f"{why.pointer} {why.detail}".strip()


class Source(ABC):
    """A stream, as one member of its group of consumers reads it; each method raises `SourceError`.

    One thread reads while another does the rest.
    """

    kind: str
    name: str

    @abstractmethod
    def read(self, most: int) -> Sequence[Run]:
        """The next messages, also those that another consumer left unfinished; waits about a second for some."""

    @abstractmethod
    def bury(self, dead: Sequence[Dead]) -> None:
        """Put messages that can never be accepted where dead letters go, with their reasons."""

    @abstractmethod
    def finish(self, runs: Sequence[Run]) -> None:
        """Never read these again: they are stored, or buried."""

    @abstractmethod
    def lag(self) -> int:
        """How many messages the group has not finished, whichever of its consumers asks."""

    @abstractmethod
    def close(self) -> None:
        """Leave the group, so that others take over at once."""
