"""What the caps on memory have cost: counted for each rule version, so that its rule can carry a warning."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.models.memory import MemoryLoss
from app.services.deciding import Decided


def of_entries(session: Session, decided: Decided, now: datetime) -> dict[str, int]:
    """Note the entries that a batch has cost, and tell them by the rules' names; the caller commits."""
    lost = {version: book.lost for version, book in decided.books.items() if book.lost}
    if not lost:
        return {}
    note(session, entries=lost, keys={}, now=now)
    names = {turn.rule.version_id: turn.rule.name for turn in decided.turns}
    counted: Counter[str] = Counter()
    for version, count in lost.items():
        counted[names[version]] += count
    return dict(counted)


def note(
    session: Session, *, entries: Mapping[UUID, int], keys: Mapping[UUID, int], now: datetime
) -> None:
    """Add to what rule versions have lost; the caller commits."""
    rows = [
        {
            "rule_version_id": version,
            "keys": keys.get(version, 0),
            "entries": entries.get(version, 0),
            "last_at": now,
        }
        for version in sorted(entries.keys() | keys.keys())
    ]
    statement = upsert(MemoryLoss)
    new = statement.excluded
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["rule_version_id"],
            set_={
                "keys": MemoryLoss.keys + new.keys,
                "entries": MemoryLoss.entries + new.entries,
                "last_at": new.last_at,
            },
        ),
        rows,
    )
