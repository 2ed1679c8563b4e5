"""Rules and their versions.

A version is valid for events accepted from `since_revision` up to, not including, `until_revision`; the current
version has no end. So the version that was current at an event's acceptance decides, however late it is evaluated.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, JSON, ForeignKey, Index, SmallInteger, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Base
from app.models.columns import Key, Moment, String


class Rule(Base):
    """What stays the same over a rule's versions; a deleted rule keeps its row for the record."""

    __tablename__ = "rules"
    __table_args__ = (
        Index("uq_rules_name", "name", unique=True, postgresql_where=text("deleted_at IS NULL")),
    )

    id: Mapped[Key]
    name: Mapped[String]
    enabled: Mapped[bool]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    deleted_at: Mapped[Moment | None]


class RuleVersion(Base):
    """One state of a rule, with the checked tree of its sentence."""

    __tablename__ = "rule_versions"
    __table_args__ = (
        UniqueConstraint("rule_id", "number"),
        Index(
            "uq_rule_versions_current",
            "rule_id",
            unique=True,
            postgresql_where=text("until_revision IS NULL"),
        ),
        Index(
            "ix_rule_versions_memory_of",
            "memory_of",
            postgresql_where=text("memory_of IS NOT NULL"),
        ),
    )

    id: Mapped[Key]
    rule_id: Mapped[UUID] = mapped_column(ForeignKey("rules.id"))
    number: Mapped[int]
    name: Mapped[String]
    dsl: Mapped[String]
    enabled: Mapped[bool]
    description: Mapped[String]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # The text of its test blocks, which ran well when it was saved.
    tests: Mapped[String] = mapped_column(default="", server_default="")
    tree: Mapped[dict[str, Any]] = mapped_column(JSON)
    # The version of the library's tree format; a tree of another one is compiled again from `dsl`.
    schema: Mapped[int]
    since_revision: Mapped[int]
    until_revision: Mapped[int | None]
    created_at: Mapped[Moment]
    # The first of the versions whose memory it goes on with; None where it begins with an empty one.
    memory_of: Mapped[UUID | None]

    rule: Mapped[Rule] = relationship(lazy="raise_on_sql")


class Ruleset(Base):
    """The one row that counts the changes of all rules, and beside them those of all silences."""

    __tablename__ = "ruleset"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    revision: Mapped[int]
    silences: Mapped[int] = mapped_column(default=0, server_default=text("0"))
