"""Rules: every change makes a version, and moves the revision that events are accepted under."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, contains_eager

from app.config import Memory
from app.ids import uuid7
from app.models.notifications import Notification, Status
from app.models.rules import Rule, Ruleset, RuleVersion
from app.services import alerts, remembered
from app.services.errors import Conflict, NotFound, StaleVersion, refusal_of
from app.services.machines import microseconds
from app.services.rounds import kind_of
from rules_dsl import SCHEMA_VERSION, RuleError, compile_rule
from rules_dsl import Rule as CompiledRule
from rules_dsl.explanation import Explanation
from rules_dsl.memory import Machine, Occurrence

CheckTarget = Callable[[str, str], None]


@dataclass(frozen=True)
class Draft:
    """What a person writes of a rule."""

    name: str
    dsl: str
    enabled: bool = True
    description: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """The version that a change left, and the kinds of channel of the notifications that it cancelled."""

    version: RuleVersion
    cancelled: tuple[str, ...] = ()


def create(
    session: Session,
    draft: Draft,
    check_target: CheckTarget,
    now: datetime,
    memory: Memory = Memory(),  # noqa: B008 - a frozen value
) -> RuleVersion:
    """A new rule in its first version; the caller commits."""
    tree = _compile(draft.dsl, check_target).to_json()
    revision = _next_revision(session)
    rule = Rule(
        id=uuid7(now), name=draft.name, enabled=draft.enabled, created_at=now, updated_at=now
    )
    session.add(rule)
    _flush_name(session, draft.name)
    version = _add_version(session, rule, draft, tree, 1, revision, now)
    remembered.begin(session, version, memory, now)
    return version


def change(
    session: Session,
    rule_id: UUID,
    changes: dict[str, Any],
    check_target: CheckTarget,
    now: datetime,
    if_match: str | None = None,
    memory: Memory = Memory(),  # noqa: B008 - a frozen value
) -> Change:
    """A new version with `changes` (fields of `Draft`); the current one where nothing changes. The caller commits."""
    # Before the lock that orders all changes: a target's name may take a while to resolve.
    compiled = _compile(changes["dsl"], check_target) if "dsl" in changes else None
    revision = _next_revision(session)
    current = get(session, rule_id)
    _check_etag(current, if_match)
    old = draft_of(current)
    draft = replace(old, **changes)
    if draft == old:
        return Change(current)
    tree = compiled.to_json() if compiled else current.tree
    current.until_revision = revision
    rule = current.rule
    rule.name, rule.enabled, rule.updated_at = draft.name, draft.enabled, now
    _flush_name(session, draft.name)
    cancelled = () if draft.enabled else _cancel_unsent(session, rule_id, now)
    version = _add_version(
        session, rule, draft, tree, current.number + 1, revision, now, _memory_of(current, draft)
    )
    remembered.begin(session, version, memory, now)
    return Change(version, cancelled)


def delete(session: Session, rule_id: UUID, now: datetime, if_match: str | None = None) -> Change:
    """End a rule and cancel what it has not sent. The caller commits."""
    revision = _next_revision(session)
    current = get(session, rule_id)
    _check_etag(current, if_match)
    current.until_revision = revision
    current.rule.deleted_at = now
    session.flush()
    # Those past so many are left to the housekeeping.
    alerts.bury(session, now, rule_id)
    return Change(current, _cancel_unsent(session, rule_id, now))


def get(session: Session, rule_id: UUID) -> RuleVersion:
    """The current version of a rule; raises `NotFound`."""
    version = session.scalars(_current().where(RuleVersion.rule_id == rule_id)).one_or_none()
    if version is None:
        raise NotFound("there is no such rule")
    return version


def listing(session: Session, after: UUID | None, limit: int) -> Sequence[RuleVersion]:
    """Current versions in order of their rules' creation, from past the rule `after`."""
    query = _current().order_by(RuleVersion.rule_id).limit(limit)
    return session.scalars(query.where(RuleVersion.rule_id > after) if after else query).all()


def versions(session: Session, rule_id: UUID) -> Sequence[RuleVersion]:
    """Every version of a rule, newest first; of a deleted rule too."""
    rows = session.scalars(
        select(RuleVersion)
        .join(RuleVersion.rule)
        .options(contains_eager(RuleVersion.rule))
        .where(RuleVersion.rule_id == rule_id)
        .order_by(RuleVersion.number.desc())
    ).all()
    if not rows:
        raise NotFound("there is no such rule")
    return rows


def trial(
    dsl: str, event: dict[str, Any], check_target: CheckTarget, now: datetime
) -> dict[str, Any]:
    """What a sentence would do with an event; stores and sends nothing."""
    rule = _compile(dsl, check_target)
    matched, explanation = _tried(rule, event, now)
    message = rule.render_message(event, now) or str(event.get("type", "event"))
    targets = rule.targets if matched else ()
    return {
        "matched": matched,
        "explanation": explanation.to_dict(),
        "notifications": [{"target": str(target), "message": message} for target in targets],
    }


def _tried(
    rule: CompiledRule, event: dict[str, Any], now: datetime
) -> tuple[bool | None, Explanation]:
    """What a rule says of an event; one with memory, of the first that it sees."""
    if not rule.has_memory:
        return rule.matches(event, now), rule.explain(event, now)
    machine, moment = Machine(rule), microseconds(now)
    first = Occurrence(bytes(16), event, moment, moment)
    decision = machine.decide(first, {}, moment)[-1]
    return decision.outcome, machine.explain(first, decision.to_json())


def draft_of(version: RuleVersion) -> Draft:
    """What a person would write to get this version again."""
    return Draft(
        version.name, version.dsl, version.enabled, version.description, tuple(version.tags)
    )


def etag(version: RuleVersion) -> str:
    """What `ETag` and `If-Match` carry, without quotes."""
    return f"{version.rule_id}-{version.number}"


def recompile_outdated(session: Session) -> int:
    """Store the trees of current versions anew where another release wrote them; the caller commits."""
    outdated = session.scalars(
        select(RuleVersion).where(RuleVersion.schema != SCHEMA_VERSION)
    ).all()
    for version in outdated:
        # A sentence that this release refuses keeps its old tree; whoever loads it says so.
        with suppress(RuleError):
            version.tree = compile_rule(version.dsl).to_json()
            version.schema = SCHEMA_VERSION
    return len(outdated)


def _current() -> Select[RuleVersion]:
    return (
        select(RuleVersion)
        .join(RuleVersion.rule)
        .options(contains_eager(RuleVersion.rule))
        .where(RuleVersion.until_revision.is_(None))
    )


def _compile(dsl: str, check_target: CheckTarget) -> CompiledRule:
    try:
        return compile_rule(dsl, check_target)
    except RuleError as error:
        raise refusal_of(error, "/dsl") from error


def _next_revision(session: Session) -> int:
    """Move the revision on; its row lock puts the changes of all rules in one order."""
    return session.execute(
        update(Ruleset).values(revision=Ruleset.revision + 1).returning(Ruleset.revision)
    ).scalar_one()


def _add_version(
    session: Session,
    rule: Rule,
    draft: Draft,
    tree: dict[str, Any],
    number: int,
    revision: int,
    now: datetime,
    memory_of: UUID | None = None,
) -> RuleVersion:
    fields = asdict(draft) | {"tags": list(draft.tags)}
    version = RuleVersion(
        id=uuid7(now),
        rule=rule,
        number=number,
        tree=tree,
        schema=SCHEMA_VERSION,
        since_revision=revision,
        created_at=now,
        memory_of=memory_of,
        **fields,
    )
    session.add(version)
    session.flush()
    return version


def _memory_of(current: RuleVersion, draft: Draft) -> UUID | None:
    """Whose memory the next version goes on with: another name, say, is no reason to forget."""
    same = draft.dsl == current.dsl and draft.enabled and current.enabled
    return (current.memory_of or current.id) if same else None


def _cancel_unsent(session: Session, rule_id: UUID, now: datetime) -> tuple[str, ...]:
    """Cancel what waits, and tell its kinds of channel.

    What is under way right now ends by itself; delivery cancels it if it would have to be repeated.
    """
    cancelled = session.execute(
        update(Notification)
        .where(
            Notification.rule_id == rule_id,
            Notification.status == Status.PENDING,
            Notification.lease_until.is_(None),
        )
        .values(status=Status.CANCELLED, reason="rule_off", finished_at=now)
        .returning(Notification.target)
    )
    return tuple(kind_of(target) for (target,) in cancelled)


def _check_etag(version: RuleVersion, if_match: str | None) -> None:
    if if_match is not None and if_match != etag(version):
        raise StaleVersion(
            f"the rule is at version {version.number} by now", pointer="/headers/If-Match"
        )


def _flush_name(session: Session, name: str) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(
            f"a rule named {name!r} exists", pointer="/name", code="name_taken"
        ) from error
