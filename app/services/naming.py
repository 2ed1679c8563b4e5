"""Which rules name a target, for whoever is about to take it away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.rules import RuleVersion
from app.services import notices

# Texts in which the target's letters stand are looked at; what they name is known once they are read.
LOOKED_AT: Final = 200


@dataclass(frozen=True)
class Naming:
    """A live rule that notifies a target."""

    rule_id: UUID
    name: str


def live_rules(session: Session, target: str) -> Sequence[Naming]:
    """The live rules that name a target, by name; the first ones where they are very many."""
    query = (
        select(RuleVersion.id)
        .where(
            RuleVersion.until_revision.is_(None),
            RuleVersion.enabled,
            RuleVersion.dsl.contains(target, autoescape=True),
        )
        .order_by(RuleVersion.name)
        .limit(LOOKED_AT)
    )
    ids = session.scalars(query).all()
    versions = notices.versions(session, ids)
    return [
        Naming(version.rule_id, version.name)
        for version in map(versions.get, ids)
        if version and version.compiled and target in map(str, version.compiled.targets)
    ]
