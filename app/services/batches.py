"""Batches: many events in one body, of which the good ones are stored and the bad ones told."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.services import ingest, strict_json
from app.services.errors import Refusal
from app.services.ingest import Arrival

# An event's place in its batch is a part of its id.
MOST_ITEMS = 1_000_000
MOST_ERRORS = 1_000

# An item's text and value, or what is wrong with it.
Item = tuple[str, Any] | Refusal


@dataclass(frozen=True)
class Rejected:
    """An item that was left out; `index` counts items from 0."""

    index: int
    pointer: str
    detail: str
    code: str


@dataclass
class Batch:
    """What became of the items; of the errors, the first thousand are told."""

    ids: list[str] = field(default_factory=list)
    rejected: int = 0
    errors: list[Rejected] = field(default_factory=list)

    def answer(self) -> dict[str, Any]:
        """As the sender reads it."""
        return {
            "accepted": len(self.ids),
            "rejected": self.rejected,
            "ids": self.ids,
            "errors": [vars(error) for error in self.errors],
        }

    def arrivals(self, items: Iterable[Item], now: datetime) -> Iterator[Arrival]:
        """The events among the items; the others are noted as errors."""
        for index, item in enumerate(items):
            if index >= MOST_ITEMS:
                raise Refusal(f"a batch holds at most {MOST_ITEMS} events", code="too_many_events")
            try:
                if isinstance(item, Refusal):
                    raise item
                yield ingest.arrive(item[1], item[0], now, place=index + 1)
            except Refusal as error:
                self.reject(index, error)

    def reject(self, index: int, error: Refusal) -> None:
        """Note an item that is left out."""
        self.rejected += 1
        if len(self.errors) < MOST_ERRORS:
            self.errors.append(Rejected(index, error.pointer, error.detail, error.code))


def accept(session: Session, items: Iterable[Item], *, source: str, now: datetime) -> Batch:
    """Store the events among the items; the caller commits.

    Raises `Refusal` where the batch as a whole cannot be read: then nothing may be committed.
    """
    batch = Batch()
    batch.ids = ingest.store_many(session, batch.arrivals(items, now), source=source)
    return batch


def lines(raw: bytes, longest: int) -> Iterator[Item]:
    """The items of NDJSON; `longest` in bytes. Empty lines are none."""
    start = 0
    while start < len(raw):
        end = raw.find(b"\n", start)
        end = len(raw) if end < 0 else end
        line = raw[start:end]
        start = end + 1
        if line and not line.isspace():
            yield read(line, longest)


def read(line: bytes, longest: int) -> Item:
    """One event as sent; `longest` in bytes."""
    try:
        _check_length(len(line), longest)
        text = strict_json.decode(line)
        return text, strict_json.parse(text)
    except Refusal as error:
        return error


def array(raw: bytes, longest: int) -> Iterator[Item]:
    """The items of a JSON array; `longest` in characters."""
    for text, value in strict_json.items(strict_json.decode(raw)):
        try:
            if isinstance(value, Refusal):
                raise value
            _check_length(len(text), longest)
            yield text, value
        except Refusal as error:
            yield error


def _check_length(length: int, longest: int) -> None:
    if length > longest:
        raise Refusal(f"is larger than {longest} bytes", code="too_large")
