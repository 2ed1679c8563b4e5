"""Ask any event why a rule did or did not fire."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st
from sqlalchemy import select, update

from app.channels.base import Outcome, Verdict
from app.config import Settings
from app.extensions import session
from app.models.alerts import Match
from app.models.rules import RuleVersion
from app.services import claims, heartbeat, why
from app.services.summaries import Answer
from rules_dsl import RuleError, compile_rule, tree
from rules_dsl.format import format_expression
from tests.app.client import Client
from tests.app.helpers import (
    begin_attempt,
    claim,
    end_attempt,
    evaluate,
    fire,
    make_rule,
    notifications,
    post_event,
)
from tests.conftest import TestClock
from tests.rules_dsl import strategies

LOGINS = 'when type == "failed" and count() over 5m by user >= 3 then notify("slack:#sec")'


def asked(client: Client, event_id: UUID, rule_id: str) -> dict[str, Any]:
    session().expire_all()
    answer = client.get(f"/events/{event_id}/explain?rule={rule_id}")
    assert answer.status_code == 200, answer.text
    [one] = answer.json["data"]
    return dict(one)


def told(client: Client, event_id: UUID, rule_id: str) -> tuple[str, str]:
    one = asked(client, event_id, rule_id)
    return one["answer"], one["summary"]


def test_a_rule_that_did_not_fire_says_what_was_needed(client: Client, clock: TestClock) -> None:
    rule = make_rule(client)
    event_id = post_event(client, amount=300)
    evaluate(clock())
    one = asked(client, event_id, rule)
    assert (one["answer"], one["outcome"]) == ("did_not_fire", False)
    assert one["summary"] == "did not fire: amount was 300, needed > 500"
    assert [each["text"] for each in one["in_the_way"]] == ["amount > 500"]
    assert one["explanation"]["nearest_miss"]["distance"] == "200"
    assert [clause["outcome"] for clause in one["explanation"]["children"]] == [True, False]
    assert (one["version"], one["mode"], one["enabled"], one["alert"]) == (1, "live", True, None)


def test_what_is_unknown_says_what_was_missing(client: Client, clock: TestClock) -> None:
    rule = make_rule(client)
    event_id = post_event(client, amount=None)
    evaluate(clock())
    one = asked(client, event_id, rule)
    assert one["outcome"] is None
    assert one["summary"] == "did not fire: amount is null, needed > 500"


def test_a_rule_that_fired_tells_of_its_alert_and_each_attempt(
    client: Client, clock: TestClock, settings: Settings
) -> None:
    rule = make_rule(client)
    event_id = post_event(client)
    evaluate(clock.tick(1))
    [waiting] = notifications()
    assert told(client, event_id, rule)[1] == (
        "fired: slack:#big-orders waits; next attempt 2026-03-01 12:00:01 UTC"
    )
    begun = begin_attempt(waiting.id, settings, clock)
    assert "the last: not ended; next" in told(client, event_id, rule)[1]
    end_attempt(
        begun,
        clock,
        Verdict(Outcome.TRANSIENT, 503, "answered 503", response="busy"),
        settings.retry,
    )
    assert "waits after 1 attempt, the last: 503; next" in told(client, event_id, rule)[1]
    clock.tick(60)
    begun = begin_attempt(waiting.id, settings, clock)
    end_attempt(begun, clock, Verdict(Outcome.DELIVERED, 200, "ok", response="ok"), settings.retry)
    one = asked(client, event_id, rule)
    assert (one["answer"], one["outcome"]) == ("fired", True)
    assert one["summary"] == "fired: slack:#big-orders was notified"
    assert one["matched_at"].startswith("2026-03-01T12:00:01")
    assert one["alert"]["count"] == 1
    [notification] = one["notifications"]
    assert [a["response"] for a in notification["attempt_log"]] == ["busy", "ok"]


def test_what_a_silence_held_back_says_by_whom(client: Client, clock: TestClock) -> None:
    rule = make_rule(client)
    client.post("/silences", json={"condition": "amount > 1", "for": "1h", "comment": "sale"})
    event_id = post_event(client)
    evaluate(clock.tick(1))
    answer, summary = told(client, event_id, rule)
    assert answer == "fired"
    assert summary.startswith("fired: nobody was notified, silenced by ")
    assert summary.endswith(": sale")


def test_an_event_that_waits_says_what_is_true_of_it(client: Client, clock: TestClock) -> None:
    rule = make_rule(client)
    large, small = post_event(client), post_event(client, amount=1)
    assert told(client, large, rule) == (
        "pending",
        "has not been evaluated yet; it is true of the event",
    )
    assert told(client, small, rule)[1].endswith(
        "not true of the event: amount was 1, needed > 500"
    )


def test_an_event_that_was_given_up_says_so(client: Client, clock: TestClock) -> None:
    rule = make_rule(client)
    event_id = post_event(client)
    [held] = claim([event_id], clock())
    claims.settle(session(), [held])
    claims.fail(session(), held, "poison", clock())
    session().commit()
    assert told(client, event_id, rule) == (
        "given_up",
        "has no outcome: the event's evaluation was given up (poison)",
    )


def test_the_version_of_the_acceptance_is_the_one_that_is_asked(
    client: Client, clock: TestClock
) -> None:
    rule = make_rule(client)
    event_id = post_event(client, amount=600)
    clock.tick(1)
    client.patch(f"/rules/{rule}", json={"dsl": 'when amount > 9000 then notify("slack:#a")'})
    later = post_event(client, amount=600)
    evaluate(clock.tick(1))
    assert (asked(client, event_id, rule)["version"], told(client, event_id, rule)[0]) == (
        1,
        "fired",
    )
    assert asked(client, later, rule)["version"] == 2
    assert told(client, later, rule)[1] == "did not fire: amount was 600, needed > 9000"


def test_a_rule_that_was_off_or_not_there_says_so(client: Client, clock: TestClock) -> None:
    off = make_rule(client, name="off", enabled=False)
    gone = make_rule(client, name="gone")
    clock.tick(1)
    client.delete(f"/rules/{gone}")
    event_id = post_event(client)
    evaluate(clock.tick(1))
    late = make_rule(client, name="late")
    assert told(client, event_id, off) == ("off", "was off; it is true of the event")
    assert told(client, event_id, gone) == (
        "not_there",
        "did not exist when the event was accepted: it was deleted at 2026-03-01 12:00:01 UTC",
    )
    assert told(client, event_id, late) == (
        "not_there",
        "did not exist when the event was accepted: it was made at 2026-03-01 12:00:02 UTC",
    )


def test_what_a_deleted_rule_cancelled_says_so(client: Client, clock: TestClock) -> None:
    rule = make_rule(client)
    event_id = post_event(client)
    evaluate(clock.tick(1))
    client.delete(f"/rules/{rule}")
    assert told(client, event_id, rule) == (
        "fired",
        "fired: slack:#big-orders was cancelled, since the rule was switched off or deleted",
    )


def test_a_rule_that_took_too_many_steps_says_so(client: Client, clock: TestClock) -> None:
    body = "any x in items: (any y in items: (any z in items: (z == 1)))"
    rule = make_rule(client, f'when {body} then notify("slack:#a")')
    event_id = post_event(client, items=[0] * 100)
    evaluate(clock())
    assert told(client, event_id, rule) == (
        "failed",
        "could not be evaluated: it took too many steps",
    )


def test_a_window_is_told_from_what_was_recorded(client: Client, clock: TestClock) -> None:
    rule = make_rule(client, LOGINS)
    ids = []
    for _ in range(3):
        ids.append(post_event(client, type="failed", user="ada"))
        evaluate(clock.tick(1))
    # The window has moved on; the record has not.
    post_event(client, type="failed", user="ada")
    evaluate(clock.tick(1))
    assert told(client, ids[1], rule) == (
        "did_not_fire",
        'did not fire: 2 of 3 within 5m for user = "ada", needed >= 3',
    )
    one = asked(client, ids[2], rule)
    assert one["summary"].startswith('fired, 3 of 3 within 5m for user = "ada": slack:#sec waits')
    assert one["decisions"][0]["values"] == {"windows": [3]}


def test_a_rule_with_memory_that_was_not_concerned_says_why(
    client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, LOGINS)
    event_id = post_event(client, type="ok", user="ada")
    evaluate(clock.tick(1))
    one = asked(client, event_id, rule)
    assert (one["answer"], one["outcome"]) == ("not_concerned", False)
    assert one["summary"] == 'did not take part: type was "ok", needed == "failed"'


@pytest.mark.parametrize(
    ("condition", "summary"),
    [
        ("temp > 90 for 5m by host", "temp is missing, needed > 90"),
        ('absent(type == "beat") for 5m', 'type was "order", needed == "beat"'),
        ('seq(a: type == "a" -> b: type == "b") within 5m', "the event is none of its steps"),
    ],
)
def test_every_kind_of_memory_says_why_it_was_not_concerned(
    client: Client, clock: TestClock, condition: str, summary: str
) -> None:
    rule = make_rule(client, f'when {condition} then notify("slack:#a")')
    event_id = post_event(client)
    evaluate(clock.tick(1))
    assert summary in told(client, event_id, rule)[1]


def test_what_only_its_clauses_kept_from_firing_is_explained_as_without_memory(
    client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, 'when amount > 500 then notify("slack:#a") throttle 1 per 1h')
    small = post_event(client, amount=1)
    first = post_event(client)
    clock.tick(1)
    second = post_event(client)
    evaluate(clock())
    one = asked(client, small, rule)
    assert (one["outcome"], one["summary"]) == (
        False,
        "did not take part: amount was 1, needed > 500",
    )
    assert told(client, first, rule)[1].startswith("fired: slack:#a waits")
    assert told(client, second, rule) == (
        "fired",
        "fired: nobody was notified, throttled: 1 of 1 since 12:00:01",
    )


def test_what_a_time_made_true_is_told_on_its_event(client: Client, clock: TestClock) -> None:
    rule = make_rule(client, 'when absent(type == "beat") for 5m by host then notify("slack:#a")')
    event_id = post_event(client, type="beat", host="a")
    evaluate(clock.tick(1))
    assert told(client, event_id, rule)[1] == (
        'did not fire: absent(type == "beat") for 5m by host had to be true (the event was seen)'
    )
    fire(clock.tick(400))
    answer, summary = told(client, event_id, rule)
    assert answer == "fired"
    assert 'nothing since 12:00 for host = "a": slack:#a waits' in summary


def test_what_was_held_at_first_and_told_later_says_both(client: Client, clock: TestClock) -> None:
    rule = make_rule(
        client, 'when amount > 500 then notify("slack:#o") during daily 13:00-14:00 "UTC"'
    )
    event_id = post_event(client)
    evaluate(clock.tick(1))
    assert told(client, event_id, rule)[1] == "fired: nobody was notified, held until 13:00 UTC"
    fire(clock.tick(3600))
    assert told(client, event_id, rule)[1].startswith(
        "fired: at first held until 13:00 UTC; slack:#o waits"
    )


def test_what_was_told_together_with_others_is_not_said_to_be_untold(
    client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, 'when amount > 500 then notify("slack:#o") group 30s')
    first = post_event(client)
    clock.tick(1)
    post_event(client)
    evaluate(clock())
    fire(clock.tick(60))
    assert told(client, first, rule)[1] == (
        "fired: nobody was notified of it alone, grouped until 12:00:31"
    )


def test_a_late_event_says_so(client: Client, clock: TestClock) -> None:
    rule = make_rule(client, LOGINS)
    post_event(client, type="failed", user="ada")
    evaluate(clock.tick(1))
    late = (clock() - timedelta(minutes=3)).isoformat()
    event_id = post_event(client, type="failed", user="ada", time=late)
    evaluate(clock.tick(1))
    assert told(client, event_id, rule)[1] == (
        'did not fire: the event came too late, 2m59s behind the newest for user = "ada"; 1m is allowed'
    )


def test_a_replay_does_not_concern_a_rule_with_memory(client: Client, clock: TestClock) -> None:
    rule = make_rule(client, LOGINS)
    event_id = post_event(client, type="failed", user="ada")
    evaluate(clock.tick(1))
    again = UUID(client.post(f"/events/{event_id}/replay").json["id"])
    evaluate(clock.tick(1))
    answer, summary = told(client, again, rule)
    assert answer == "replayed"
    assert "ignores what is replayed" in summary


def test_a_heartbeat_is_no_rules_business(client: Client, clock: TestClock) -> None:
    rule = make_rule(client, 'when exists minute then notify("slack:#a")')
    event_id = heartbeat.begin(session(), clock())
    session().commit()
    assert event_id is not None
    evaluate(clock.tick(1))
    assert told(client, event_id, rule) == (
        "ignored",
        "did not take part: a heartbeat is no rule's business",
    )


def test_a_rule_that_this_release_cannot_read_says_so(client: Client, clock: TestClock) -> None:
    rule = make_rule(client)
    # Under another id, since what is compiled is kept by it.
    old = {"id": uuid4(), "dsl": "when", "tree": {"schema": -1}, "schema": -1}
    session().execute(update(RuleVersion).values(old))
    session().commit()
    event_id = post_event(client)
    evaluate(clock.tick(1))
    assert told(client, event_id, rule)[0] == "unreadable"
    assert client.get(f"/events/{event_id}/explain").status_code == 200


def test_all_rules_come_by_what_they_did_and_how_near_they_were(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, 'when amount > 9000 and x then notify("slack:#a")', "two away")
    make_rule(client, 'when amount > 9000 then notify("slack:#a")', "far")
    make_rule(client, 'when amount > 800 then notify("slack:#a")', "near")
    make_rule(client, 'when amount > 500 then notify("slack:#a")', "fired")
    make_rule(client, LOGINS, "logins")
    make_rule(client, 'when amount > 500 then notify("slack:#a")', "off", enabled=False)
    event_id = post_event(client)
    evaluate(clock.tick(1))
    make_rule(client, name="late")
    found: list[str] = []
    path = f"/events/{event_id}/explain?limit=4"
    answer = client.get(path).json
    assert (answer["rules"], answer["considered"]) == (6, 6)
    found += [one["rule"] for one in answer["data"]]
    answer = client.get(f"{path}&after={answer['next']}").json
    found += [one["rule"] for one in answer["data"]]
    assert answer["next"] is None
    assert found == ["fired", "near", "far", "two away", "logins", "off"]


def test_what_fired_is_found_among_more_rules_than_are_looked_at(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(why, "CONSIDERED", 2)
    for number in range(3):
        make_rule(client, 'when amount > 9000 then notify("slack:#a")', f"far {number}")
    make_rule(client, 'when type == "order" and x then notify("slack:#a")', "named")
    make_rule(client)
    event_id = post_event(client)
    evaluate(clock.tick(1))
    answer = client.get(f"/events/{event_id}/explain").json
    assert (answer["rules"], answer["considered"]) == (5, 3)
    # Of the others those that name the type come first.
    assert {"Orders", "named"} <= {one["rule"] for one in answer["data"]}
    assert answer["data"][0]["rule"] == "Orders"


def test_what_is_not_there_is_404(client: Client, clock: TestClock) -> None:
    event_id = post_event(client)
    assert client.get(f"/events/{uuid4()}/explain").status_code == 404
    missing = client.get(f"/events/{event_id}/explain?rule={uuid4()}")
    assert missing.status_code == 404
    assert missing.json["errors"][0]["pointer"] == "/query/rule"
    assert client.get(f"/events/{event_id}/explain?rule=x").status_code == 422


def test_a_trace_is_the_whole_story(client: Client, clock: TestClock) -> None:
    make_rule(client)
    make_rule(client, LOGINS.replace('type == "failed"', 'type == "order"'), "Logins")
    event_id = post_event(client, user="ada")
    evaluate(clock.tick(5))
    trace = client.get(f"/events/{event_id}/trace").json
    assert trace["event"]["accepted_at"].startswith("2026-03-01T12:00:00")
    assert trace["decided_at"].startswith("2026-03-01T12:00:05")
    [match] = trace["matches"]
    assert (match["rule"], match["version"]) == ("Orders", 1)
    assert [one["outcome"] for one in match["explanation"]["children"]] == [True, True]
    [decision] = trace["decisions"]
    assert (decision["version"], decision["values"]) == (1, {"windows": [1]})


def _sent(body: dict[str, Any]) -> bool:
    """Whether JSON has a word for it."""
    try:
        json.dumps(body, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        return False
    return True


def _rule_of(condition: tree.Expression) -> str | None:
    """The text of a rule, unless the checker refuses it."""
    text = f'when {format_expression(condition)} then notify("slack:#a")'
    try:
        return compile_rule(text).text
    except RuleError:
        return None


RULES = strategies.conditions(depth=2).map(_rule_of).filter(bool)
BODIES = strategies.events.filter(_sent)


@given(
    rules=st.lists(RULES, min_size=1, max_size=4),
    bodies=st.lists(BODIES, min_size=1, max_size=4),
)
@how(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_explanation_comes_to_what_was_recorded(
    client: Client, clock: TestClock, rules: list[str], bodies: list[dict[str, Any]]
) -> None:
    made = [make_rule(client, text, str(uuid4())) for text in rules]
    ids = [post_event(client, **{**body, "type": "a"}) for body in bodies]
    evaluate(clock.tick(1))
    for event_id in ids:
        matched = select(Match.rule_id).where(Match.event_id == event_id)
        recorded = {str(rule_id) for rule_id in session().scalars(matched)}
        for rule in made:
            one = asked(client, event_id, rule)
            assert (one["outcome"] is True) == (rule in recorded), one
            assert one["answer"] == (Answer.FIRED if rule in recorded else Answer.DID_NOT_FIRE)
            assert bool(one["in_the_way"]) == (rule not in recorded)
    for rule in made:
        client.delete(f"/rules/{rule}")


HOT = 'when type == "t" and temp > 90 for 5m by host then notify("slack:#ops")'


def test_what_a_time_brought_is_told_though_the_rule_got_another_description_meanwhile(
    client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, HOT)
    event_id = post_event(client, type="t", temp=95, host="a")
    evaluate(clock())
    assert client.patch(f"/rules/{rule}", json={"description": "of a host"}).status_code == 200
    fire(clock.tick(301))
    one = asked(client, event_id, rule)
    assert (one["answer"], one["version"], len(one["notifications"])) == ("fired", 1, 1)
    listed = client.get(f"/events/{event_id}/explain").json["data"]
    assert [each["answer"] for each in listed] == ["fired"]


def test_each_event_is_recorded_under_the_version_of_its_acceptance(
    client: Client, clock: TestClock
) -> None:
    """Also where versions share a memory and their events a batch."""
    rule = make_rule(client, 'when count() over 5m by user >= 1 then notify("slack:#sec")')
    first = post_event(client, user=1)
    assert client.patch(f"/rules/{rule}", json={"name": "Renamed"}).status_code == 200
    second = post_event(client, user=1)
    evaluate(clock(), [first, second])
    assert [asked(client, each, rule)["version"] for each in (first, second)] == [1, 2]
    rows = session().execute(
        select(Match.event_id, RuleVersion.number).join(
            RuleVersion, RuleVersion.id == Match.rule_version_id
        )
    )
    assert dict(rows.all()) == {first: 1, second: 2}
