"""Two workers, in any order and with deaths, decide what a naive reader does that is fed the recorded order.

Each example has a rule of its own. Both workers decide at once, in threads and sessions of their own; whose turn is
first is up to PostgreSQL, and is read from the record afterwards.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.extensions import session
from app.models.events import Event, PendingEvent
from app.models.memory import EventDecisions, TimerDecision
from app.models.rules import RuleVersion
from app.runtime import runtime
from app.services import decisions, matching, shares, timers
from app.services.claims import Claim
from app.services.machines import microseconds, occurrence_of
from app.services.recent_states import recent
from rules_dsl import compile_rule
from rules_dsl.memory.decisions import LATE
from tests.app.client import Client
from tests.app.helpers import claim, finish, fire, make_rule, post_event
from tests.app.services.test_memory_together import at_once
from tests.conftest import TestClock
from tests.rules_dsl.memory_reference import Reference, Row
from tests.rules_dsl.test_memory_properties import CLAUSES, CONDITIONS, LATENESS, bodies

NOTIFY = ' then notify("slack:#ops") '
# Keys are fed one after the other, so no clause may look at another one.
OWN_KEY = [each for each in CLAUSES if "by v" not in each and "unless" not in each]
LEASE = 23
names = count()

behind = st.sampled_from([0, 0, 0, 3, 20, 60, 90])
batch = st.lists(st.tuples(behind, bodies), max_size=4)
rounds = st.lists(
    st.tuples(
        st.sampled_from([1, 5, 10, 30, 61]),
        st.sampled_from(["both", "both", "both", "one dies", "lost", "sweep"]),
        batch,
        batch,
        st.sampled_from([0.0, 0.001, 0.003]),
        st.booleans(),
    ),
    max_size=7,
)
Body = tuple[int, Mapping[str, Any]]
Round = tuple[int, str, list[Body], list[Body], float, bool]


class Told(NamedTuple):
    """One decision of the record."""

    at: datetime
    number: int | None
    event: UUID | None
    made: dict[str, Any]

    @property
    def row(self) -> Row:
        """As the reference gives it."""
        made, verdict = self.made, self.made["verdict"]
        return (
            made["kind"],
            made["key"],
            made["time"],
            made["outcome"],
            None if made["outcome"] is True else made["reason"],
            made["values"].get("windows", []),
            self.event.bytes if self.event else None,
            made["alert"],
            (verdict["kind"], verdict["until"]) if verdict else None,
        )


class Workers:
    """Two workers, the events that they are sent, and the times at which they look at timers."""

    def __init__(self, app: Flask, client: Client, clock: TestClock) -> None:
        self.app, self.client, self.clock = app, client, clock
        self.sweeps: dict[datetime, int] = {}
        self.times: list[datetime] = []

    def go(self, one: Round) -> None:
        """One round."""
        passed, what, first, second, pause, forgetful = one
        self._pass(passed)
        if forgetful:
            recent.forget()
        if what == "sweep":
            self._sweep()
            return
        mine, theirs = self._claim(first), self._claim(second)
        if what == "lost":
            # Both hold the same events, and one of them holds them no more.
            self._pass(LEASE)
            theirs = claim([each.event_id for each in mine], self.clock())
        work = self._dies if what == "one dies" else self._decides
        at_once(self.app, lambda: work(mine, pause), lambda: self._decides(theirs, pause))

    def drain(self) -> None:
        """All that a death or a lost claim has left."""
        while waiting := session().scalars(select(PendingEvent.event_id)).all():
            self._pass(LEASE)
            finish(claim(waiting, self.clock()), self.clock())
        self._pass(600)
        self._sweep()

    def _pass(self, seconds: int) -> None:
        self.times.append(self.clock.tick(seconds))

    def _claim(self, events: Sequence[Body]) -> list[Claim]:
        ids = [
            post_event(
                self.client, time=(self.clock() - timedelta(seconds=late)).isoformat(), **body
            )
            for late, body in events
        ]
        return claim(ids, self.clock()) if ids else []

    def _sweep(self) -> None:
        self.sweeps[self.clock()] = microseconds(timers.settled(session(), self.clock()))
        session().rollback()
        fire(self.clock())

    def _decides(self, held: list[Claim], pause: float) -> None:
        self._record(held, pause, dies=False)

    def _dies(self, held: list[Claim], pause: float) -> None:
        self._record(held, pause, dies=True)

    def _record(self, held: list[Claim], pause: float, *, dies: bool) -> None:
        """Share by share, as the task does; who dies does so over the last."""
        if not held:
            return
        events = matching.load(session(), held)
        session().commit()

        @contextmanager
        def guard() -> Iterator[Callable[[UUID], None]]:
            yield lambda _: time.sleep(pause)

        memory = runtime().settings.memory
        waiting = shares.part(held, matching.judge(events), memory)
        while waiting:
            one = waiting.pop(shares.take(session(), waiting))
            now = self.clock()
            matching.record(session(), one.held, one.judgement, None, now, memory, guard)
            if dies and not waiting:
                session().rollback()
            session().commit()


def record_of(rule_id: str) -> list[Told]:
    """All that was decided about a rule."""
    session().expire_all()
    [version] = session().scalars(select(RuleVersion.id).where(RuleVersion.rule_id == rule_id))
    found = [
        Told(row.decided_at, made.get(decisions.NUMBER), row.event_id, decisions.whole(made))
        for row in session().scalars(select(EventDecisions))
        if (made := row.made.get(str(version)))
    ]
    times = select(TimerDecision).where(TimerDecision.rule_version_id == version)
    for row in session().scalars(times):
        whole = decisions.whole(row.made)
        found.append(Told(row.decided_at, whole[decisions.NUMBER], row.event_id, whole))
    return found


def agree(workers: Workers, told: Sequence[Told], text: str) -> None:
    """Whether the reference comes to the same, key by key."""
    reference = Reference(compile_rule(text), LATENESS, lambda *_: False)
    events = {row.id: occurrence_of(row) for row in session().scalars(select(Event))}
    ordered = defaultdict(list)
    for each in told:
        if each.number is not None:
            ordered[each.made["key"], each.at].append(each)
    late = [each for each in told if each.made["reason"] == LATE]
    for at in workers.times:
        for key in {key for key, _ in ordered}:
            mine = sorted(ordered[key, at], key=lambda each: each.number or 0)
            if at in workers.sweeps:
                expected = reference.sweep([("", key)], workers.sweeps[at])
                assert [each.row for each in mine] == expected
                continue
            rows: list[Row] = []
            for each in mine:
                if each.made["kind"] == "event":
                    assert each.event is not None
                    rows += reference.decide(events[each.event], microseconds(at))
            assert [each.row for each in mine] == rows
        for each in late:
            if each.at == at and each.event:
                assert reference.decide(events[each.event], microseconds(at))[-1][4] == "late"


@pytest.mark.parametrize("condition", CONDITIONS[::3])
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.explicit, Phase.generate],  # threads do not do the same again
)
@given(clauses=st.sampled_from(OWN_KEY), drawn=rounds)
def test_two_workers_decide_as_a_naive_reader_of_their_recorded_order(
    app: Flask,
    client: Client,
    clock: TestClock,
    monkeypatch: pytest.MonkeyPatch,
    condition: str,
    clauses: str,
    drawn: list[Round],
) -> None:
    monkeypatch.setattr(shares, "LEAST", 1)
    text = f"when {condition}{NOTIFY}{clauses}"
    if not compile_rule(text).has_memory:
        text = f"when {condition}{NOTIFY}group 1s"
    rule_id = make_rule(client, text, f"rule {next(names)}")
    workers = Workers(app, client, clock)
    for one in drawn:
        workers.go(one)
    workers.drain()
    agree(workers, record_of(rule_id), text)
    client.delete(f"/rules/{rule_id}")
