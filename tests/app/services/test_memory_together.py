"""States of rules with memory belong to whoever holds them until the commit, and to nobody after a death."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import Delete, Update, delete, func, select, text, update
from sqlalchemy.orm import Session

from app.config import Memory, Settings
from app.extensions import db, session
from app.models.alerts import RuleFailure
from app.models.memory import RuleState
from app.runtime import runtime
from app.services import decisions, forgetting, ingest, matching, storing, timers
from app.services.claims import Claim
from app.services.deciding import Begin
from app.services.recent_states import recent
from rules_dsl.memory import Machine
from tasks.upkeep import Upkeep
from tests.app.client import Client
from tests.app.helpers import claim, evaluate, finish, fire, make_rule, notifications, post_event
from tests.conftest import TestClock

MANY = 'when count(type == "hit") over 1h by user >= 40 then notify("slack:#many")'
SILENT = 'when absent(type == "beat") for 10m by host expect ["a"] then notify("slack:#ops")'
NOON = "2026-03-01T12:00:00Z"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, memory=Memory(keys=16, entries=100))


def hits(client: Client, count: int, user: str = "ada") -> list[UUID]:
    """Events of one moment, so that the last to be decided counts them all."""
    return [post_event(client, type="hit", user=user, time=NOON) for _ in range(count)]


def at_once(app: Flask, *work: Callable[[], object]) -> None:
    """Each in a thread and a session of its own."""
    barrier = Barrier(len(work), timeout=60)

    def go(one: Callable[[], object]) -> None:
        with app.app_context():
            barrier.wait()
            one()

    with ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(go, one) for one in work]:
            done.result()


def numbers(ids: list[UUID]) -> list[int]:
    return sorted(one.made["number"] for key in ids for one in decisions.of_event(session(), key))


def die_over(held: list[Claim], clock: TestClock) -> None:
    """Do all that a worker does, but for the commit."""
    events = matching.load(session(), held)
    session().commit()
    matching.record(session(), held, matching.judge(events), None, clock())
    session().rollback()


def states() -> int:
    return session().scalar(select(func.count()).select_from(RuleState)) or 0


def test_two_workers_on_one_key_count_each_event_once_in_one_order(
    app: Flask, client: Client, clock: TestClock
) -> None:
    make_rule(client, MANY)
    first = hits(client, 20)
    one = claim(first, clock.tick(1))
    second = hits(client, 20)
    other = claim(second, clock())
    at_once(app, lambda: finish(one, clock()), lambda: finish(other, clock()))
    assert len(notifications()) == 1
    order = numbers(first + second)
    assert order == list(range(order[0], order[0] + 40))


def test_workers_take_turns_and_see_what_the_other_wrote(
    app: Flask, client: Client, clock: TestClock
) -> None:
    make_rule(client, MANY)
    for _ in range(20):
        held = claim(hits(client, 2), clock.tick(1))
        at_once(app, lambda held=held: finish(held, clock()))  # type: ignore[misc]
    assert len(notifications()) == 1


@pytest.mark.parametrize("users", [1, 60])
@pytest.mark.parametrize(
    "meanwhile", [delete(RuleState), update(RuleState).values(due=None)], ids=["gone", "moved"]
)
def test_a_state_whose_row_is_not_where_it_was_read_is_written_all_the_same(
    client: Client, clock: TestClock, meanwhile: Delete | Update, users: int
) -> None:
    @contextmanager
    def disturbed() -> Iterator[Begin]:
        one = select(RuleState.key).order_by(RuleState.key).limit(1).scalar_subquery()
        session().execute(meanwhile.where(RuleState.key == one))
        yield lambda _: None

    def each() -> list[UUID]:
        return [post_event(client, type="hit", user=f"{at:02}", time=NOON) for at in range(users)]

    make_rule(client, MANY.replace("40", "3"))
    each()
    evaluate(clock.tick(1))
    held = claim(each(), clock.tick(1))
    judgement = matching.judge(matching.load(session(), held))
    matching.record(session(), held, judgement, None, clock(), guard=disturbed)
    session().commit()
    assert (states(), notifications()) == (users, [])
    recent.forget()
    each()
    evaluate(clock.tick(1))
    assert len(notifications()) == users


@pytest.mark.parametrize("known", [True, False])
def test_a_death_before_the_commit_leaves_nothing_behind(
    client: Client, clock: TestClock, *, known: bool
) -> None:
    make_rule(client, MANY)
    hits(client, 20)
    evaluate(clock.tick(1))
    for _ in range(3):
        die_over(claim(hits(client, 5), clock.tick(1)), clock)
        if not known:
            recent.forget()
    clock.tick(23)
    hits(client, 4)
    while evaluate(clock()).waited:
        pass
    assert notifications() == []
    hits(client, 1)
    evaluate(clock())
    assert len(notifications()) == 1


def test_whoever_decides_says_on_which_event(client: Client, clock: TestClock) -> None:
    make_rule(client, MANY)
    ids = hits(client, 3)
    held = claim(ids, clock.tick(1))
    events = matching.load(session(), held)
    begun: list[UUID] = []

    @contextmanager
    def guard() -> Iterator[Callable[[UUID], None]]:
        yield begun.append

    matching.record(
        session(), held, matching.judge(events), None, clock(), runtime().settings.memory, guard
    )
    assert begun == sorted(ids)


def test_a_rule_that_fails_decides_nothing_of_the_batch_and_the_others_do(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rule(client, MANY.replace("40", "2"), "good")
    make_rule(client, MANY.replace("40", "1").replace("#many", "#bad"), "bad")
    decide = Machine.decide

    def failing(machine: Machine, event: Any, *more: Any) -> Any:
        made = decide(machine, event, *more)
        if "1" in machine._rule.text.partition(">=")[2] and event.body.get("last"):
            raise ZeroDivisionError
        return made

    monkeypatch.setattr(Machine, "decide", failing)
    hits(client, 1)
    post_event(client, type="hit", user="ada", time=NOON, last=True)
    evaluate(clock.tick(1))
    assert [one.target for one in notifications()] == ["slack:#many"]
    failures = session().scalars(select(RuleFailure.reason)).all()
    assert failures == ["error: ZeroDivisionError"] * 2


def test_of_two_sweepers_one_fires(app: Flask, client: Client, clock: TestClock) -> None:
    make_rule(client, SILENT)
    clock.tick(601)
    at_once(app, lambda: fire(clock()), lambda: fire(clock()), lambda: fire(clock()))
    assert len(notifications()) == 1


def test_a_sweeper_that_dies_leaves_its_timers_to_the_next(
    app: Flask, client: Client, clock: TestClock
) -> None:
    make_rule(client, SILENT)
    clock.tick(601)
    memory = runtime().settings.memory
    assert timers.fire(session(), memory, None, clock()).outcome.triggered == ["Orders"]
    at_once(app, lambda: fire(clock()))
    session().rollback()
    assert notifications() == []
    fire(clock())
    assert len(notifications()) == 1


def test_no_timer_is_due_before_what_is_being_stored_is_seen(
    client: Client, clock: TestClock
) -> None:
    """A large batch holds the event that was awaited, and its transaction takes longer than anybody's patience."""
    make_rule(client, SILENT)
    with Session(db.engine) as sender:
        beat = ingest.check({"type": "beat", "host": "a"}, '{"type": "beat", "host": "a"}')
        ingest.store_many(sender, [beat.arrive(clock.tick(599))], source="http")
        sender.execute(text("SELECT pg_sleep(0.01)"))
        clock.now += timedelta(seconds=1) + storing.SETTLING
        assert fire(clock()).triggered == []
        sender.commit()
    assert fire(clock()).triggered == []
    evaluate(clock())
    assert fire(clock()).triggered == []
    assert fire(clock.tick(599)).triggered == ["Orders"]


def test_a_timer_that_only_a_newer_release_can_read_fires_once_that_looks(
    client: Client, clock: TestClock
) -> None:
    """While workers of two releases run, those of the older one meet states that they do not know how to read."""
    make_rule(client, SILENT, "Newer")
    readable = session().scalars(select(RuleState.data)).one()
    newer = b"\xff" + readable
    session().execute(update(RuleState).values(data=newer))
    session().commit()
    recent.forget()
    make_rule(client, SILENT, "Orders")
    assert fire(clock.tick(601)).triggered == ["Orders"]
    assert fire(clock()).triggered == []
    session().execute(update(RuleState).where(RuleState.data == newer).values(data=readable))
    session().commit()
    assert fire(clock.tick(61)).triggered == ["Newer"]


def test_timers_that_nobody_can_read_are_forgotten_a_day_after_their_version_has_ended(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, SILENT)
    session().execute(update(RuleState).values(data=b"\xff" * 8))
    session().commit()
    recent.forget()
    assert client.delete(f"/rules/{rule_id}").status_code == 204
    for passed, left in ((601, 1), (86_400, 0)):
        fire(clock.tick(passed))
        forget(clock())
        assert states() == left


def test_timers_and_events_of_one_key_wait_for_each_other(
    app: Flask, client: Client, clock: TestClock
) -> None:
    make_rule(client, 'when type == "g" then notify("slack:#g") group 30s')
    for _ in range(5):
        post_event(client, type="g")
        evaluate(clock.tick(1))
        clock.tick(31)
        held = claim([post_event(client, type="g")], clock())
        at_once(app, lambda: fire(clock()), lambda held=held: finish(held, clock()))  # type: ignore[misc]
        fire(clock.tick(31))
    matches = [
        int(one.message.split()[0]) if one.message[0].isdigit() else 1 for one in notifications()
    ]
    assert sum(matches) == 10


def test_past_the_cap_the_oldest_keys_go_and_the_rule_warns(
    app: Flask, client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, MANY)
    for number in range(20):
        hits(client, 1, f"user-{number}")
        evaluate(clock.tick(1))
    Upkeep(app, app.extensions["publisher"]).sweep()
    assert states() == 15
    kept = session().scalars(select(RuleState.key)).all()
    assert '["user-4"]' not in kept
    assert '["user-5"]' in kept
    [warning] = client.get(f"/rules/{rule_id}").json["warnings"]
    assert warning.startswith("it has more keys than may be kept: the 5 oldest were dropped")
    counted = 'sentinel_memory_dropped_total{rule="Orders",what="keys"} 5.0'
    # A thread may be writing it at this moment.
    deadline = time.monotonic() + 10
    while counted not in client.get("/metrics").text:
        assert time.monotonic() < deadline


def test_past_the_cap_the_oldest_entries_go_and_the_rule_warns(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, MANY)
    hits(client, 120)
    lost = evaluate(clock.tick(1)).outcome.lost
    assert lost["Orders"] >= 20
    [warning] = client.get(f"/rules/{rule_id}").json["warnings"]
    assert f"the {lost['Orders']} oldest were dropped" in warning


def test_what_no_event_can_ask_for_is_forgotten(client: Client, clock: TestClock) -> None:
    make_rule(client, MANY)
    hits(client, 1)
    evaluate(clock.tick(1))
    forget(clock.tick(3600))
    assert states() == 1
    forget(clock.tick(61))
    assert states() == 0


def test_an_ended_version_is_forgotten_once_no_event_from_before_it_waits(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, MANY)
    hits(client, 1)
    evaluate(clock.tick(1))
    hits(client, 1)
    client.patch(f"/rules/{rule_id}", json={"dsl": MANY + " severity high"})
    forget(clock.tick(61))
    assert states() == 1
    evaluate(clock())
    forget(clock())
    assert states() == 0


def forget(now: Any) -> None:
    for step in forgetting.steps(session(), now):
        while step(session()):
            pass
    session().commit()
