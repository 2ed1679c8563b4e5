"""Rules: every change makes a version, and moves the revision that events are accepted under."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, contains_eager

from app.config import Memory
from app.ids import uuid7
from app.models.rules import Mode, NoisyRule, Rule, Ruleset, RuleVersion
from app.services import alerts, cancelling, proofs, remembered, standing
from app.services.cancelling import NOTHING, Cancelled
from app.services.errors import Conflict, NotFound, StaleVersion, refusal_of
from app.services.machines import microseconds
from rules_dsl import Rule as CompiledRule
from rules_dsl import RuleError, compile_rule
from rules_dsl.explanation import Explanation
from rules_dsl.memory import Machine, Occurrence

CheckTarget = Callable[[str, str], None]


@dataclass(frozen=True)
class Draft:
    """What a person writes of a rule."""

    name: str
    dsl: str
    mode: Mode = Mode.LIVE
    description: str = ""
    tags: tuple[str, ...] = ()
    tests: str = ""
    # Notifications a day, past which it is demoted; None for any number.
    noise_budget: int | None = None


@dataclass(frozen=True)
class Change:
    """The version that a change left, and what it cancelled."""

    version: RuleVersion
    cancelled: Cancelled = NOTHING


def create(
    session: Session,
    draft: Draft,
    check_target: CheckTarget,
    now: datetime,
    memory: Memory = Memory(),  # noqa: B008 - a frozen value
) -> RuleVersion:
    """A new rule in its first version; the caller commits."""
    compiled = _compile(draft.dsl, check_target)
    proofs.prove(compiled, draft.name, draft.tests)
    tree = compiled.to_json()
    revision = _next_revision(session)
    rule = Rule(
        id=uuid7(now),
        name=draft.name,
        mode=draft.mode,
        noise_budget=draft.noise_budget,
        live_since=now if draft.mode is Mode.LIVE else None,
        created_at=now,
        updated_at=now,
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
    if_match: frozenset[str] | None = None,
    memory: Memory = Memory(),  # noqa: B008 - a frozen value
) -> Change:
    """A new version with `changes` (fields of `Draft`, and `enabled`); the current one where nothing changes.

    What a rule has not sent is cancelled when it leaves `live`. The caller commits.
    """
    # Before the lock that orders all changes: a target's name may take a while to resolve, and so may tests.
    compiled = _compile(changes["dsl"], check_target) if "dsl" in changes else None
    proven = proofs.prove_change(session, rule_id, changes, compiled)
    revision, current = _lock(session, rule_id, if_match)
    draft = replace(draft_of(current), **_with_mode(changes, current.mode))
    if proven != current.number and changes.keys() & proofs.PROVEN:  # it was changed meanwhile
        rule_now = compiled or proofs.compiled_again(current.tree, current.dsl)
        proofs.prove(rule_now, draft.name, draft.tests)
    tree = compiled.to_json() if compiled else current.tree
    return _follow(session, current, draft, tree, revision, now, memory)


def demote(
    session: Session, rule_id: UUID, now: datetime, if_match: frozenset[str] | None, memory: Memory
) -> Change:
    """Put a live rule in shadow, and cancel what it has not sent. The caller commits."""
    revision, current = _lock(session, rule_id, if_match)
    if current.mode is Mode.OFF:
        raise Conflict("the rule is off: PATCH its `mode` to try it in shadow", code="rule_off")
    draft = replace(draft_of(current), mode=Mode.SHADOW)
    return _follow(session, current, draft, current.tree, revision, now, memory)


def withdraw(
    session: Session, noisy: NoisyRule, reason: str, now: datetime, memory: Memory
) -> RuleVersion | None:
    """Put a noisy rule in shadow without anybody's wish, for a reason that it then carries.

    None unless it has been live since it was noted, with a budget that is still too small. What it made until then is
    sent all the same. The caller commits.
    """
    revision = _next_revision(session)
    mine = RuleVersion.rule_id == noisy.rule_id
    current = session.scalars(_current().where(mine)).one_or_none()
    if current is None or not _still_noisy(current, noisy):
        return None
    draft = replace(draft_of(current), mode=Mode.SHADOW)
    version = _succeed(session, current, draft, current.tree, revision, now, reason)
    remembered.begin(session, version, memory, now)
    return version


def _still_noisy(current: RuleVersion, noisy: NoisyRule) -> bool:
    """Whether nobody has changed what was noted: its mode, or its budget to one that has room for what was counted."""
    rule, budget = current.rule, current.rule.noise_budget
    begun_anew = rule.live_since is not None and rule.live_since > noisy.at
    too_small = budget is not None and budget < noisy.notifications
    return current.mode is Mode.LIVE and not begun_anew and too_small


def mode_wished(enabled: bool | None, mode: str | None, now_in: Mode) -> Mode:
    """The mode that somebody means; `enabled` alone leaves a rule in shadow where it is."""
    if mode is not None:
        return Mode(mode)
    if enabled is None:
        return now_in
    if not enabled:
        return Mode.OFF
    return Mode.LIVE if now_in is Mode.OFF else now_in


def _with_mode(changes: dict[str, Any], now_in: Mode) -> dict[str, Any]:
    rest = {name: value for name, value in changes.items() if name not in ("enabled", "mode")}
    return rest | {"mode": mode_wished(changes.get("enabled"), changes.get("mode"), now_in)}


def _lock(
    session: Session, rule_id: UUID, if_match: frozenset[str] | None
) -> tuple[int, RuleVersion]:
    """The next revision, and the current version of a rule, which nobody else changes until the commit."""
    revision = _next_revision(session)
    current = get(session, rule_id)
    _check_etag(current, if_match)
    return revision, current


def _follow(
    session: Session,
    current: RuleVersion,
    draft: Draft,
    tree: dict[str, Any],
    revision: int,
    now: datetime,
    memory: Memory,
) -> Change:
    if draft == draft_of(current):
        return Change(current)
    version = _succeed(session, current, draft, tree, revision, now)
    # What a rule made before its noise took it away is still to be sent.
    kept = draft.mode is Mode.LIVE or current.rule.demoted_at is not None
    cancelled = NOTHING if kept else cancelling.begin(session, current.rule, now)
    remembered.begin(session, version, memory, now)
    return Change(version, cancelled)


def _succeed(
    session: Session,
    current: RuleVersion,
    draft: Draft,
    tree: dict[str, Any],
    revision: int,
    now: datetime,
    demoted_for: str | None = None,
) -> RuleVersion:
    """The next version, and its rule as it says."""
    standing.hold(session, current.rule_id)
    current.until_revision = revision
    rule = current.rule
    if draft.mode is not rule.mode:
        rule.demoted_at, rule.demoted_for = (now if demoted_for else None), demoted_for
        rule.live_since = now if draft.mode is Mode.LIVE else None
    rule.name, rule.mode, rule.updated_at = draft.name, draft.mode, now
    rule.noise_budget = draft.noise_budget
    _flush_name(session, draft.name)
    memory = _memory_of(current, draft)
    return _add_version(session, rule, draft, tree, current.number + 1, revision, now, memory)


def delete(
    session: Session, rule_id: UUID, now: datetime, if_match: frozenset[str] | None = None
) -> Change:
    """End a rule and cancel what it has not sent. The caller commits."""
    revision, current = _lock(session, rule_id, if_match)
    standing.hold(session, rule_id)
    current.until_revision = revision
    current.rule.deleted_at = now
    session.flush()
    # Those past so many are left to the housekeeping.
    alerts.bury(session, now, rule_id)
    return Change(current, cancelling.begin(session, current.rule, now))


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


def names(session: Session, rule_ids: Collection[UUID]) -> dict[UUID, str]:
    """What rules are called now, those that were deleted too."""
    found = session.execute(select(Rule.id, Rule.name).where(Rule.id.in_(rule_ids)))
    return {row.id: row.name for row in found}


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
    session: Session, dsl: str, event: dict[str, Any], check_target: CheckTarget, now: datetime
) -> dict[str, Any]:
    """What a sentence would do with an event; stores and sends nothing, and ends what the session has read for it."""
    rule = _compile(dsl, check_target)
    # To judge may take a second, and a connection is one of few.
    session.rollback()
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
        name=version.name,
        dsl=version.dsl,
        mode=version.mode,
        description=version.description,
        tags=tuple(version.tags),
        tests=version.tests,
        noise_budget=version.noise_budget,
    )


def etag(version: RuleVersion) -> str:
    """What `ETag` and `If-Match` carry, without quotes."""
    return f"{version.rule_id}-{version.number}"


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
        # A clock that is behind must not put it before its rule went live: nothing that it held back would be told.
        id=uuid7(max(now, rule.live_since or now)),
        rule=rule,
        number=number,
        tree=tree,
        # Of another release where the tree is that of the version before, which the upkeep has not come to yet.
        schema=tree["schema"],
        since_revision=revision,
        created_at=now,
        memory_of=memory_of,
        **fields,
    )
    session.add(version)
    session.flush()
    return version


def _memory_of(current: RuleVersion, draft: Draft) -> UUID | None:
    """Whose memory the next version goes on with: another name, say, is no reason to forget.

    Another mode is: what shadow told nobody would else throttle what a live rule tells first.
    """
    same = draft.dsl == current.dsl and draft.mode is current.mode is not Mode.OFF
    return (current.memory_of or current.id) if same else None


def _check_etag(version: RuleVersion, if_match: frozenset[str] | None) -> None:
    if if_match is not None and etag(version) not in if_match:
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
