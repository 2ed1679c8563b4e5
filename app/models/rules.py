"""Rules and their versions.

A version is valid for events accepted from `since_revision` up to, not including, `until_revision`; the current
version has no end. So the version that was current at an event's acceptance decides, however late it is evaluated.
"""

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    JSON,
    ForeignKey,
    Index,
    SmallInteger,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import Base
from app.models.columns import Key, Moment, String


class Mode(StrEnum):
    """What becomes of a rule's matches: notifications, the record alone, or nothing since nothing is asked."""

    LIVE = "live"
    SHADOW = "shadow"
    OFF = "off"


class _Moded:
    """The mode, in two columns that the release before can live with.

    It knows `enabled` alone, and would notify for whatever has it: so that is true of live rules only, and a rule in
    shadow is off to an old process. Where that has switched one on, `enabled` has the last word.
    """

    enabled: Mapped[bool]
    shadow: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Notifications a day.
    noise_budget: Mapped[int | None]

    @property
    def mode(self) -> Mode:
        """Live, shadow or off."""
        if self.enabled:
            return Mode.LIVE
        return Mode.SHADOW if self.shadow else Mode.OFF

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self.enabled, self.shadow = mode is Mode.LIVE, mode is Mode.SHADOW


class Rule(_Moded, Base):
    """What stays the same over a rule's versions; a deleted rule keeps its row for the record."""

    __tablename__ = "rules"
    __table_args__ = (
        Index("uq_rules_name", "name", unique=True, postgresql_where=text("deleted_at IS NULL")),
        Index("ix_rules_cancelling", "id", postgresql_where=text("cancels_until IS NOT NULL")),
    )

    id: Mapped[Key]
    name: Mapped[String]
    created_at: Mapped[Moment]
    updated_at: Mapped[Moment]
    deleted_at: Mapped[Moment | None]
    # When it last became live: its noise is counted from then on. None where the release before did it.
    live_since: Mapped[Moment | None]
    # When Sentinel itself took it out of the way, and for how many notifications.
    demoted_at: Mapped[Moment | None]
    demoted_for: Mapped[str | None] = mapped_column(Text)
    # Its notifications up to this key that wait are never sent, and why not; None where none of them waits.
    cancels_until: Mapped[UUID | None]
    cancels_for: Mapped[str | None] = mapped_column(Text)


class RuleVersion(_Moded, Base):
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
    description: Mapped[String]
    tags: Mapped[list[str]] = mapped_column(ARRAY(Text))
    # The text of its test blocks, which ran well when it was saved.
    tests: Mapped[String] = mapped_column(default="", server_default="")
    tree: Mapped[dict[str, Any]] = mapped_column(JSON)
    # The version of the library's tree format that it was last compiled for. The tree names its own: one of another
    # version, as where its sentence was refused, is compiled again from `dsl` by whoever loads it.
    schema: Mapped[int]
    since_revision: Mapped[int]
    until_revision: Mapped[int | None]
    created_at: Mapped[Moment]
    # The first of the versions whose memory it goes on with; None where it begins with an empty one.
    memory_of: Mapped[UUID | None]

    rule: Mapped[Rule] = relationship(lazy="raise_on_sql")


class NoisyRule(Base):
    """A rule that has gone past its noise budget, until the sweep has demoted it."""

    __tablename__ = "noisy_rules"

    rule_id: Mapped[Key]
    at: Mapped[Moment]
    notifications: Mapped[int]
    budget: Mapped[int]


class Ruleset(Base):
    """The one row that counts the changes of all rules, and beside them those of all silences."""

    __tablename__ = "ruleset"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    revision: Mapped[int]
    silences: Mapped[int] = mapped_column(default=0, server_default=text("0"))
