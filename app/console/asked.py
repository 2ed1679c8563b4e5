"""What the list of events is asked for: its address, read; what is wrong with it is told at its field."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from app.runtime import now
from app.schemas.common import LONGEST_SPAN, SPAN, UNITS
from app.services import finding
from app.services.errors import Refusal
from app.services.finding import Asked
from rules_dsl import Condition

FIELDS: Final = ("type", "matched", "since", "until", "where")
MATCHED: Final[Mapping[str, bool | None]] = {"": None, "yes": True, "no": False}
_TIMES: Final = "write how long ago, such as 90s, 2h or 1d, or a time such as 2026-03-01 12:00"


@dataclass(frozen=True)
class Question:
    """A filter as it was typed, as it is meant, and what is wrong by field."""

    given: Mapping[str, str]
    asked: Asked
    condition: Condition | None
    wrong: Mapping[str, str]

    @property
    def any(self) -> bool:
        """Whether less than all is asked for."""
        return bool(self.given)


def read(arguments: Mapping[str, str], newer: UUID | None = None) -> Question:
    """The question that an address asks."""
    typed = {name: arguments.get(name, "").strip() for name in FIELDS}
    given = {name: text for name, text in typed.items() if text}
    wrong: dict[str, str] = {}
    condition = None
    if "where" in given:
        try:
            condition = finding.read(given["where"], "/where")
        except Refusal as refusal:
            wrong["where"] = refusal.detail
    if given.get("matched", "") not in MATCHED:
        wrong["matched"] = "choose one of these"
    moments: dict[str, datetime | None] = {}
    for name in ("since", "until"):
        try:
            moments[name] = _moment(given.get(name, ""))
        except ValueError:
            wrong[name] = _TIMES
    asked = Asked(
        type=given.get("type"),
        since=moments.get("since"),
        until=moments.get("until"),
        matched=MATCHED.get(given.get("matched", "")),
        newer=newer,
    )
    if "\0" in asked.type if asked.type else False:
        wrong["type"] = "no type has such a letter"
    return Question(given, asked, condition, wrong)


def _moment(text: str) -> datetime | None:
    """A moment by how long ago it was, or by its date, in UTC unless it says where."""
    if not text:
        return None
    found = SPAN.fullmatch(text)
    if found is None:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    counts = [int(count or 0) for count in found.groups()]
    span = sum((n * unit for n, unit in zip(counts, UNITS, strict=True)), timedelta())
    if not timedelta() < span <= LONGEST_SPAN:
        raise ValueError(text)
    return now() - span
