"""Batches: many events in one body, of which the good ones are stored and the bad ones told."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from app.services import ingest, strict_json
from app.services.errors import Refusal
from app.services.ingest import Arrival
from app.services.json_items import PIECE, Item, too_large
from app.services.json_window import Source

# An event's place in its batch is a part of its id.
MOST_ITEMS = 1_000_000
MOST_ERRORS = 1_000


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
                yield ingest.check(item[1], item[0]).arrive(now, place=index + 1)
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


def lines(source: Source, longest: int) -> Iterator[Item]:
    """The items of NDJSON; `longest` in bytes. Empty lines are none."""
    for line in _lines(source, longest):
        if line and not line.isspace():
            yield read(line, longest)


def read(line: bytes, longest: int) -> Item:
    """One event as sent; `longest` in bytes."""
    if len(line) > longest:
        return too_large(longest)
    try:
        text = strict_json.decode(line)
        return text, strict_json.parse(text)
    except Refusal as error:
        return error


def _lines(source: Source, longest: int) -> Iterator[bytes]:
    rest = b""
    while piece := source.read(PIECE):
        *ended, rest = (rest + piece).split(b"\n")
        # Windows ends a line by two letters, neither of which is the event's.
        yield from (line.removesuffix(b"\r") for line in ended)
        if len(rest) > longest + 1:
            # Of what is too long only that is kept, and whether there is anything in it.
            rest = rest[: longest + 1] + (b" " if rest.isspace() else b"x")
    yield rest
