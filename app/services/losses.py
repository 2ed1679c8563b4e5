"""What the caps on memory have cost: counted for each rule version, so that its rule can carry a warning."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.models.memory import MemoryLoss
from app.models.rules import RuleVersion
from app.services.machines import latest
from app.services.states import Books


def of_entries(session: Session, books: Books, now: datetime) -> dict[str, int]:
    """Note the entries that a batch has cost, and tell them by the rules' names; the caller commits."""
    lost = {version: book.lost for version, book in books.items() if book.lost}
    if not lost:
        return {}
    note(session, entries=lost, keys={}, now=now)
    return by_rule(session, lost)


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
                "keys": MemoryLoss.keys + new["keys"],
                "entries": MemoryLoss.entries + new["entries"],
                "last_at": new["last_at"],
            },
        ),
        rows,
    )


def by_rule(session: Session, lost: Mapping[UUID, int]) -> dict[str, int]:
    """Likewise, by the rules' names."""
    versions = {version: memory for memory, version in latest(session, lost).items()}
    names = select(RuleVersion.id, RuleVersion.name).where(RuleVersion.id.in_(versions))
    counted: Counter[str] = Counter()
    for version, name in session.execute(names):
        counted[name] += lost[versions[version]]
    return dict(counted)


def warnings(session: Session, versions: Iterable[UUID]) -> dict[UUID, list[str]]:
    """What to say of rule versions that have lost some of their memory."""
    rows = session.scalars(select(MemoryLoss).where(MemoryLoss.rule_version_id.in_(versions)))
    return {row.rule_version_id: _said(row) for row in rows}


def _said(row: MemoryLoss) -> list[str]:
    last = f"last at {row.last_at:%Y-%m-%d %H:%M} UTC"
    said = []
    if row.keys:
        said.append(
            f"it has more keys than may be kept: the {row.keys} oldest were dropped, {last}"
        )
    if row.entries:
        said.append(
            f"it has more entries under a key than may be kept: the {row.entries} oldest were dropped, {last}"
        )
    return said
