"""What the live tails of a process share: the newest rows of a question, read and drawn once for all that ask.

While many events come, each tail would read and draw the same page of rows each second, and forty of them take a core.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from flask import get_template_attribute
from markupsafe import Markup

from app.console.asked import Question
from app.console.glance import glance
from app.console.paging import SHOWN
from app.extensions import session
from app.ids import uuid7_floor
from app.runtime import now
from app.services import feed
from app.services.feed import PATIENT, Line, New

SECONDS: Final = 0.5
# So old may be what is shown while somebody reads.
A_MOMENT: Final = 2.0
# Where a cursor stands at most behind, and some; who asks from further back is answered alone.
BEHIND: Final = PATIENT + timedelta(seconds=5)
MOST_QUESTIONS: Final = 64


@dataclass(frozen=True)
class Newest:
    """The newest events that fit, as lines and as rows; `moment` is when the application began to read them.

    Past `settled` there may be others that were not seen.
    """

    read_at: float
    moment: datetime
    settled: UUID
    lines: Sequence[Line]
    rows: Mapping[UUID, Markup]

    def is_younger(self, seconds: float) -> bool:
        """Whether it was read less than so long ago."""
        return time.monotonic() - self.read_at < seconds

    def drawn(self, lines: Sequence[Line]) -> Markup:
        """The rows of some of them."""
        return Markup("").join(self.rows[line.id] for line in lines)


class Tails:
    """What was read last of each question."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._read: dict[tuple[tuple[str, str], ...], Newest] = {}
        self._reading = threading.Lock()

    def newer(self, question: Question, cursor: UUID) -> tuple[New, Newest] | None:
        """What has come since a cursor, as `feed.newer` has it, and its rows; None where nothing has."""
        if not feed.anything(session(), cursor):
            return None
        floor = uuid7_floor(now() - BEHIND)
        newest = self._newest(question, floor) if cursor >= floor else _read(question, cursor)
        lines = [line for line in newest.lines if line.id > cursor]
        # What has come since the reading is not among them: the cursor must stay before it.
        return feed.since(lines, cursor, newest.settled, newest.moment), newest

    def _newest(self, question: Question, floor: UUID) -> Newest:
        key = tuple(sorted(question.given.items()))
        known = self._read.get(key)
        if known is not None and known.is_younger(self.seconds):
            return known
        # Nobody waits for another's query: what is a moment older will do, else each reads.
        if not self._reading.acquire(blocking=False):
            if known is not None and known.is_younger(A_MOMENT):
                return known
            return _read(question, floor)
        try:
            if len(self._read) >= MOST_QUESTIONS:
                self._read.clear()
            self._read[key] = _read(question, floor)
            return self._read[key]
        finally:
            self._reading.release()


def rows(lines: Sequence[Line]) -> Markup:
    """Lines of the list, drawn."""
    return Markup("").join(_drawn(lines).values())


tails: Final = Tails()


def _read(question: Question, cursor: UUID) -> Newest:
    read_at, moment = time.monotonic(), now()
    settled = feed.settled(session(), moment)
    asked = replace(question.asked, newer=cursor)
    lines = feed.newest(session(), question.condition, asked, SHOWN)
    return Newest(read_at, moment, settled, lines, _drawn(lines))


def _drawn(lines: Sequence[Line]) -> dict[UUID, Markup]:
    row = get_template_attribute("console/_event_rows.html", "row")
    return {line.id: row(line, glance) for line in lines}
