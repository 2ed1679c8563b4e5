"""A rule that brings down who asks it: it is unknown of that event, and the others fire."""

import threading
from types import SimpleNamespace
from uuid import UUID, uuid4

import pytest
from celery import signals
from celery.exceptions import WorkerLostError
from sqlalchemy import select

from app.extensions import session
from app.models.alerts import Match, RuleFailure
from app.models.events import PendingEvent
from app.models.rules import RuleVersion
from app.services import blame, claims
from app.services.rulesets import live
from tasks import patience, witness
from tasks.events import evaluate
from tests.app.client import Client
from tests.app.helpers import make_rule, post_event
from tests.conftest import TestClock


@pytest.fixture(autouse=True)
def of_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """The witness hears processes of a pool, by their place in it."""
    monkeypatch.setattr(witness, "current_process", lambda: SimpleNamespace(index=0))


@pytest.fixture
def event_id(client: Client) -> UUID:
    for name in ("Heavy", "Light"):
        make_rule(client, name=name)
    return post_event(client)


def version_of(name: str) -> UUID:
    return session().scalars(select(RuleVersion.id).where(RuleVersion.name == name)).one()


def claim_alone(event_id: UUID, clock: TestClock) -> UUID:
    """Claimed as one whose process has died before; gives under which message."""
    holder = uuid4()
    claims.together(session(), [event_id], clock(), uuid4())
    session().execute(PendingEvent.__table__.update().values(lease_until=None, begun=2))
    assert claims.suspects(session(), [event_id], clock(), holder)
    session().commit()
    return holder


def die(holder: UUID, event_id: UUID, version: UUID | None, by: str) -> None:
    """As the main process of a worker hears of it; this one has threads, and is better not forked."""
    witness.enter(holder)
    witness.judging(event_id)
    if version is not None:
        witness.asking(version)
    lost = WorkerLostError(f"Worker exited prematurely: signal 27 ({by}) Job: 1.")
    args = ([str(event_id)],)
    signals.task_failure.send(sender=evaluate, task_id=str(holder), exception=lost, args=args)
    for thread in threading.enumerate():
        if thread.name == "losses":
            thread.join()
    session().expire_all()


def message(event_id: UUID) -> None:
    evaluate.apply(args=([str(event_id)],), task_id=str(uuid4()), throw=True)


@pytest.mark.parametrize(("by", "reason"), [("SIGPROF", "time"), ("SIGSEGV", "crash")])
def test_the_event_is_judged_again_without_the_rule_that_was_asked_last(
    client: Client, event_id: UUID, clock: TestClock, by: str, reason: str
) -> None:
    heavy = version_of("Heavy")
    die(claim_alone(event_id, clock), event_id, heavy, by)
    assert session().scalars(select(PendingEvent.begun)).one() == 2
    message(event_id)
    trace = client.get(f"/events/{event_id}/trace").json
    assert trace["event"]["state"] == "evaluated"
    [failure] = trace["rule_errors"]
    assert (failure["rule_version_id"], failure["reason"]) == (str(heavy), reason)
    found = session().scalars(select(Match.rule_version_id)).all()
    assert found == [version_of("Light")]


def test_who_asks_why_is_told_without_the_rule_being_asked_once_more(
    client: Client, event_id: UUID, clock: TestClock
) -> None:
    die(claim_alone(event_id, clock), event_id, version_of("Heavy"), "SIGPROF")
    message(event_id)
    answers = client.get(f"/events/{event_id}/explain").json["data"]
    [heavy] = [one for one in answers if one["rule"] == "Heavy"]
    assert (heavy["answer"], heavy["explanation"]) == ("failed", None)
    assert heavy["summary"] == "could not be evaluated: it took longer than a rule may"


@pytest.mark.parametrize("by", ["SIGKILL", "SIGTERM"])
def test_no_rule_is_to_blame_where_somebody_else_ended_the_process(
    event_id: UUID, clock: TestClock, by: str
) -> None:
    die(claim_alone(event_id, clock), event_id, version_of("Heavy"), by)
    assert session().scalars(select(PendingEvent.begun)).one() == 3
    assert session().scalars(select(RuleFailure.reason)).all() == []


def test_a_death_that_names_no_rule_counts(event_id: UUID, clock: TestClock) -> None:
    die(claim_alone(event_id, clock), event_id, None, "SIGPROF")
    assert session().scalars(select(PendingEvent.begun)).one() == 3


def test_of_one_event_so_many_rules_may_be_left_out_and_no_more(
    event_id: UUID, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blame, "MOST", 1)
    die(claim_alone(event_id, clock), event_id, version_of("Heavy"), "SIGPROF")
    die(claim_alone(event_id, clock), event_id, version_of("Light"), "SIGPROF")
    assert session().scalars(select(RuleFailure.rule_version_id)).all() == [version_of("Heavy")]
    assert session().scalars(select(PendingEvent.begun)).one() == 3


def test_rules_that_take_too_long_together_end_as_a_dead_letter_that_says_so(
    client: Client, event_id: UUID, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "current_process", lambda: SimpleNamespace(daemon=True))
    monkeypatch.setattr(patience, "RULES_SECONDS", -1.0)
    die(claim_alone(event_id, clock), event_id, None, "SIGPROF")
    message(event_id)
    event = client.get(f"/events/{event_id}").json
    assert event["state"] == "failed"
    assert event["reason"] == "time: its rules took too long together, asked one by one"


@pytest.mark.usefixtures("app")
def test_a_suspect_is_judged_rule_by_rule_and_to_the_same_end(
    client: Client, event_id: UUID, clock: TestClock
) -> None:
    live.warm(session())
    asked: list[UUID] = []
    event = claims.together(session(), [event_id], clock(), uuid4())[0].event
    assert event is not None
    at_once = live.match(event.body, event.revision, event.accepted_at)
    singly = live.match_singly(event.body, event.revision, event.accepted_at, asked.append, {})
    assert singly == at_once
    assert set(asked) == {version_of("Heavy"), version_of("Light")}
