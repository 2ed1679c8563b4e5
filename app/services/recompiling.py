"""Rules that another release compiled, stored anew as this one understands them."""

from contextlib import suppress
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models.rules import RuleVersion
from rules_dsl import SCHEMA_VERSION, RuleError, compile_rule

# A millisecond or two each, in which the transaction is idle; PostgreSQL ends one that is so for long.
AT_ONCE: Final = 500


def recompile(session: Session) -> int:
    """Store trees of current versions anew where another release wrote them, so many at once; the caller commits.

    Tells how many it took up. Versions that have ended are seldom asked for, and compiled then.
    """
    query = select(RuleVersion).where(
        RuleVersion.until_revision.is_(None), RuleVersion.schema != SCHEMA_VERSION
    )
    outdated = session.scalars(query.limit(AT_ONCE)).all()
    for version in outdated:
        # A sentence that this release refuses keeps its old tree; whoever loads it says so. It is not taken up again,
        # or enough of them would keep the others from their turn.
        with suppress(RuleError):
            version.tree = compile_rule(version.dsl).to_json()
        version.schema = SCHEMA_VERSION
    return len(outdated)
