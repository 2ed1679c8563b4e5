"""Backtests as jobs: asked for, taken up by one worker at a time, told how far they are, ended or cancelled.

A run is held by a lease that each word of progress renews, with an epoch that counts who took it up. A worker that
dies leaves a lease that runs out; whoever comes next begins anew, since a run keeps what it has in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, true, update
from sqlalchemy.orm import Session, undefer

from app.ids import uuid7
from app.models.backtests import Backtest, BacktestState
from app.models.rules import Mode, RuleVersion
from app.services import rules
from app.services.backtesting.reasons import Version
from app.services.backtesting.trial import Tried
from app.services.errors import Conflict, NotFound, Refusal, refusal_of
from app.services.rules import CheckTarget
from app.services.rulesets import restore
from rules_dsl import RuleError, compile_rule

DRAFT: Final = "Draft"
LEASE: Final = timedelta(seconds=15)
# A message is a wake-up alone: after this long the sweep sends another for what nobody has taken up.
WAKE_AGAIN: Final = timedelta(seconds=30)
GIVE_UP_AFTER: Final = 3
GIVEN_UP: Final = f"begun {GIVE_UP_AFTER} times, and its worker died or was stuck each time"
MOST_WAITING: Final = 100
# Any constant will do, so long as no other advisory lock of this database has it.
LOCK: Final = 0x53454E42
KEPT: Final = timedelta(days=7)
MOST_MISTAKES: Final = 10
_OPEN: Final = (BacktestState.QUEUED, BacktestState.RUNNING)


@dataclass(frozen=True)
class Wish:
    """The time that a backtest is about, and who asks for it."""

    since: datetime
    until: datetime | None
    by: str


@dataclass(frozen=True)
class Claim:
    """The right to run one, until the lease ends or it is cancelled."""

    id: UUID
    epoch: int


@dataclass(frozen=True)
class Standing:
    """How far a run is; `result` is what came of it so far, now and then."""

    progress: float
    events: int
    matches: int
    notifications: int
    result: dict[str, Any] | None = None


def of_draft(
    session: Session, dsl: str, wish: Wish, check_target: CheckTarget, now: datetime
) -> Backtest:
    """A backtest of a sentence; the caller commits, then publishes."""
    side = _draft(dsl, check_target)
    return _add(session, None, side["name"], [side], wish, now)


def of_many(
    session: Session, drafts: Sequence[dict[str, Any]], wish: Wish, now: datetime
) -> Backtest:
    """A backtest of rules with `name` and `dsl` at once; the caller commits, then publishes.

    To compile a thousand takes seconds, so mistakes in them are found by the worker.
    """
    name = "1 rule" if len(drafts) == 1 else f"{len(drafts):,} rules"
    row = _add(session, None, name, [], wish, now)
    row.rules = list(drafts)
    session.flush()
    return row


def of_rule(
    session: Session, rule_id: UUID, number: int | None, wish: Wish, now: datetime
) -> Backtest:
    """A backtest of a version of a rule, the newest where none is named; the caller commits, then publishes."""
    side = _saved(session, rule_id, number, "/version")
    return _add(session, rule_id, side["name"], [side], wish, now)


def of_difference(
    session: Session,
    rule_id: UUID,
    sides: tuple[int | None, int | str | None],
    wish: Wish,
    check_target: CheckTarget,
    now: datetime,
) -> Backtest:
    """Two versions of a rule against each other, or one and a sentence. The caller commits, then publishes."""
    first, second = sides
    one = _saved(session, rule_id, first, "/from")
    if isinstance(second, str):
        other = _draft(second, check_target) | {"name": one["name"]}
    else:
        other = _saved(session, rule_id, second, "/to")
    return _add(session, rule_id, one["name"], [one, other], wish, now)


def get(session: Session, backtest_id: UUID) -> Backtest:
    """A backtest as it stands, with its result; raises `NotFound`."""
    query = select(Backtest).where(Backtest.id == backtest_id).options(undefer(Backtest.result))
    row = session.scalars(query, execution_options={"populate_existing": True}).one_or_none()
    if row is None:
        raise NotFound("there is no such backtest; they are kept for a week")
    return row


def listing(
    session: Session, rule_id: UUID | None, after: UUID | None, limit: int
) -> Sequence[Backtest]:
    """Backtests without their results, newest first, from past the one `after`."""
    query = select(Backtest).order_by(Backtest.id.desc()).limit(limit)
    if rule_id is not None:
        query = query.where(Backtest.rule_id == rule_id)
    return session.scalars(query.where(Backtest.id < after) if after else query).all()


def cancel(session: Session, backtest_id: UUID, now: datetime) -> Backtest:
    """End one that waits or runs; its worker notices within a second. The caller commits."""
    row = get(session, backtest_id)
    session.refresh(row, with_for_update=True)
    if row.state not in _OPEN:
        raise Conflict(f"the backtest is {row.state}", code="ended")
    row.state, row.finished_at, row.lease_until = BacktestState.CANCELLED, now, None
    session.flush()
    return row


def claim(session: Session, backtest_id: UUID, now: datetime) -> Claim | None:
    """Take one up that waits, or whose worker is heard of no more; the caller commits before it begins."""
    taken = session.scalar(
        update(Backtest)
        .where(Backtest.id == backtest_id, _free(now), Backtest.begun < GIVE_UP_AFTER)
        .values(
            state=BacktestState.RUNNING,
            epoch=Backtest.epoch + 1,
            begun=Backtest.begun + 1,
            lease_until=now + LEASE,
            wake_at=now + LEASE,
            started_at=func.coalesce(Backtest.started_at, now),
        )
        .returning(Backtest.epoch)
    )
    return None if taken is None else Claim(backtest_id, taken)


def tell(session: Session, claim: Claim, standing: Standing, now: datetime) -> bool:
    """Say how far it is, which renews the lease; whether it is still wanted, and by this worker. The caller commits."""
    values = _columns(standing) | {"lease_until": now + LEASE, "wake_at": now + LEASE}
    return _write(session, claim, values)


def finish(session: Session, claim: Claim, standing: Standing, now: datetime) -> bool:
    """End it with its result; whether it was still wanted. The caller commits."""
    ended = {"state": BacktestState.DONE, "finished_at": now, "lease_until": None, "progress": 1.0}
    return _write(session, claim, _columns(standing) | ended)


def fail(session: Session, claim: Claim, reason: str, now: datetime) -> None:
    """End it with the reason why nothing came of it; the caller commits."""
    ended = {"state": BacktestState.FAILED, "finished_at": now, "lease_until": None}
    _write(session, claim, ended | {"reason": reason})


def give_back(session: Session, claim: Claim, now: datetime) -> None:
    """Let another worker have it, as though it had not been begun; the caller commits, then publishes."""
    waits = {"state": BacktestState.QUEUED, "lease_until": None, "wake_at": now + WAKE_AGAIN}
    _write(session, claim, waits | {"begun": Backtest.begun - 1, "progress": 0.0})


def overdue(session: Session, now: datetime, limit: int) -> list[UUID]:
    """Those that nobody has taken up, or whose worker died; the caller commits, then publishes."""
    late = and_(Backtest.state.in_(_OPEN), Backtest.wake_at <= now)
    given_up = {"state": BacktestState.FAILED, "finished_at": now, "reason": GIVEN_UP}
    session.execute(
        update(Backtest)
        .where(late, _free(now), Backtest.begun >= GIVE_UP_AFTER)
        .values(lease_until=None, **given_up)
    )
    rows = select(Backtest.id).where(late).order_by(Backtest.wake_at).limit(limit)
    locked = rows.with_for_update(skip_locked=True).cte()
    woken = session.scalars(
        update(Backtest)
        .where(Backtest.id == locked.c.id)
        .values(wake_at=now + WAKE_AGAIN)
        .returning(Backtest.id)
    )
    return sorted(woken)


def purge(session: Session, now: datetime) -> None:
    """Forget those that ended long ago; the caller commits."""
    session.execute(delete(Backtest).where(Backtest.finished_at < now - KEPT))


def tried(
    session: Session, row: Backtest, beat: Callable[[], None]
) -> tuple[list[Tried], Version | None]:
    """Its rules, compiled; and the version that live has on record, where there is one rule that is or was on.

    Raises `Refusal` with the mistakes in them; `beat` is called between many.
    """
    if row.rules is not None:
        return _many(row.rules, beat), None
    found = [_tried(session, side) for side in row.sides]
    version = found[0][1] if len(found) == 1 else None
    return [each for each, _ in found], version


def _many(drafts: Sequence[dict[str, Any]], beat: Callable[[], None]) -> list[Tried]:
    made, mistakes = [], []
    for draft in drafts:
        beat()
        try:
            made.append(Tried(draft["name"], compile_rule(draft["dsl"])))
        except RuleError as error:
            mistakes.append(f'rule "{draft["name"]}": {error}')
    if mistakes:
        raise Refusal("\n".join(mistakes[:MOST_MISTAKES]), pointer="/rules")
    return made


def _tried(session: Session, side: dict[str, Any]) -> tuple[Tried, Version | None]:
    row = session.get(RuleVersion, UUID(side["version_id"])) if side["version_id"] else None
    if row is None:
        return Tried(side["name"], compile_rule(side["dsl"])), None
    memory = row.memory_of or row.id
    shared = or_(RuleVersion.id == memory, RuleVersion.memory_of == memory)
    kin = frozenset(session.scalars(select(RuleVersion.id).where(shared)))
    version = Version(row.id, row.rule_id, row.since_revision, row.until_revision, kin | {row.id})
    asked = row.mode is not Mode.OFF
    return Tried(row.name, restore(row.tree, row.dsl), row.id), version if asked else None


def _draft(dsl: str, check_target: CheckTarget) -> dict[str, Any]:
    try:
        compiled = compile_rule(dsl, check_target)
    except RuleError as error:
        raise refusal_of(error, "/dsl") from error
    return {"name": compiled.name or DRAFT, "dsl": dsl, "version": None, "version_id": None}


def _saved(session: Session, rule_id: UUID, number: int | None, pointer: str) -> dict[str, Any]:
    versions = rules.versions(session, rule_id)
    row = next((each for each in versions if number in (None, each.number)), None)
    if row is None:
        raise Refusal(f"there is no version {number}", pointer=pointer, code="no_version")
    return {"name": row.name, "dsl": row.dsl, "version": row.number, "version_id": str(row.id)}


def _add(
    session: Session,
    rule_id: UUID | None,
    name: str,
    sides: list[dict[str, Any]],
    wish: Wish,
    now: datetime,
) -> Backtest:
    until = min(wish.until or now, now)
    if wish.since >= until:
        raise Refusal("must be before `until`, and before now", pointer="/since", code="bad_time")
    # Whoever asks at the same moment waits for this one's commit, and counts it.
    session.execute(select(func.pg_advisory_xact_lock(LOCK)))
    waiting = select(func.count()).where(Backtest.state == BacktestState.QUEUED)
    if (session.scalar(waiting) or 0) >= MOST_WAITING:
        raise Conflict(f"{MOST_WAITING} backtests wait already", code="too_many")
    row = Backtest(
        id=uuid7(now),
        rule_id=rule_id,
        name=name,
        sides=sides,
        rules=None,
        since=wish.since,
        until=until,
        state=BacktestState.QUEUED,
        progress=0.0,
        events=0,
        matches=0,
        notifications=0,
        result=None,
        created_by=wish.by,
        created_at=now,
        wake_at=now + WAKE_AGAIN,
        epoch=0,
        begun=0,
    )
    session.add(row)
    session.flush()
    return row


def _free(now: datetime) -> ColumnElement[bool]:
    lost = and_(Backtest.state == BacktestState.RUNNING, Backtest.lease_until < now)
    return or_(Backtest.state == BacktestState.QUEUED, lost)


def _columns(standing: Standing) -> dict[str, Any]:
    values = {
        "progress": standing.progress,
        "events": standing.events,
        "matches": standing.matches,
        "notifications": standing.notifications,
    }
    return values if standing.result is None else values | {"result": standing.result}


def _write(session: Session, claim: Claim, values: dict[str, Any]) -> bool:
    held = (Backtest.id == claim.id, Backtest.epoch == claim.epoch)
    runs = Backtest.state == BacktestState.RUNNING
    written = update(Backtest).where(*held, runs).values(values).returning(true())
    return session.scalar(written) is not None
