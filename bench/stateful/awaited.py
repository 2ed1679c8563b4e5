"""What keys that are awaited cost whoever looks for times that have come: when none has, and when some have."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Final, NamedTuple

from sqlalchemy.orm import Session

from app.config import Memory
from app.services import forgetting, timers
from bench.stateful.filling import fill, opened
from bench.throughput import outcome, parts
from bench.throughput.evaluation import accept, allowed
from bench.throughput.events import add_rule
from bench.throughput.ledger import Ledger
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from bench.throughput.posts import finish
from bench.throughput.processor import spent
from tests.acceptance.stack import Stack

KEYS: Final = 100_000
# Of so many one is due early, and of so many later.
FEW, MANY = 1000, 10
EARLY, LATE = timedelta(hours=2), timedelta(hours=1)
FOR: Final = timedelta(days=1)
LOOKS: Final = 20
GOAL: Final = 100.0
MILLI: Final = 1000.0
STILL: Final = "SELECT count(*) FROM rule_states WHERE due IS NOT NULL"


class Cost(NamedTuple):
    """Milliseconds of one time: by the clock in the middle, of processor time on average."""

    wall: float
    processor: float


def awaited(plan: Plan) -> Iterator[Outcome]:
    """The steps of timers and sweep, in this process; then the workers come, and events of keys that have fired."""
    keys, ledger = plan.many(KEYS), Ledger()
    few, many = keys // FEW, keys // MANY
    with parts.receiver(0) as port, Stack(env=allowed(port), start=("api",)) as stack:
        moment = datetime.now(UTC)
        await_keys(stack, f"webhook:http://127.0.0.1:{port}/", keys, few, many, moment)
        yield from _looks(stack, plan, few, many, moment)
        accept(stack, few, ledger, beats)
        finish(stack, ledger, plan, few + many)
        [(still,)] = stack.sql(STILL)
        if still != keys - many:
            raise SystemExit(f"{still} keys are awaited")


def await_keys(stack: Stack, target: str, keys: int, few: int, many: int, moment: datetime) -> None:
    """Let a rule have seen so many keys, some of them too long ago."""
    dsl = f'when absent(type == "beat") for 1d by device then notify("{target}")'
    rule = add_rule(stack, "silent", dsl)
    [(version,)] = stack.sql("SELECT id FROM rule_versions WHERE rule_id = %s", rule["id"])
    seen = [moment - FOR - EARLY] * few + [moment - FOR - LATE] * many
    seen += [moment] * (keys - len(seen))
    fill(stack, version, ([(at, beat(key))] for key, at in enumerate(seen)), moment)


def beat(key: int) -> dict[str, Any]:
    """What is awaited."""
    return {"type": "beat", "device": f"device-{key:06}"}


def beats(keys: range) -> bytes:
    """Some of them, one a line."""
    return b"\n".join(json.dumps(beat(key)).encode() for key in keys)


def _looks(stack: Stack, plan: Plan, few: int, many: int, moment: datetime) -> Iterator[Outcome]:
    early, later = moment - (EARLY + LATE), moment - (EARLY + LATE) / 2
    with opened(stack) as session:
        look = cost(stack, lambda: fire(session, early), LOOKS)
        cap = cost(stack, lambda: count(session, moment), LOOKS)
        rest = cost(stack, lambda: forget(session, moment), LOOKS)
        for name, one in (("timers", look), ("cap", cap), ("what is forgotten", rest)):
            plan.say(f"{name}: {one.wall:.1f} ms, {one.processor:.1f} of processor time")
        what = f"{plan.many(KEYS):,} keys awaited by `absent`, none due"
        whole = look.wall + cap.wall + rest.wall
        yield outcome.most(f"{what}: all of the sweep", "ms", whole, GOAL)
        yield outcome.most("… the look for timers, twice a second", "ms", look.wall, None)
        for due, at in ((few, later), (many, moment)):
            fired = cost(stack, lambda at=at: fire(session, at), 1)  # type: ignore[misc]
            plan.say(f"{due:,} due: {fired.processor:,.0f} ms of processor time")
            yield outcome.most(f"… {due:,} due", "ms", fired.wall, None)


def cost(stack: Stack, step: Callable[[], None], times: int) -> Cost:
    """What a step costs this process and PostgreSQL, after one to warm up where there are many."""
    if times > 1:
        step()
    server, walls = stack.processes["postgres"].pid, []
    before = time.process_time() + spent(server)
    for _ in range(times):
        began = time.perf_counter()
        step()
        walls.append((time.perf_counter() - began) * MILLI)
    return Cost(median(walls), (time.process_time() + spent(server) - before) / times * MILLI)


def fire(session: Session, moment: datetime) -> None:
    """What the timers' thread does each time."""
    while timers.fire(session, Memory(), None, moment).more:
        session.commit()
        session.expunge_all()
    session.commit()


def count(session: Session, moment: datetime) -> None:
    """What the sweep does each half minute."""
    forgetting.over(session, Memory(), moment)
    session.commit()


def forget(session: Session, moment: datetime) -> None:
    """What it does when it keeps house."""
    for step in forgetting.steps(session, moment):
        step(session)
        session.commit()
