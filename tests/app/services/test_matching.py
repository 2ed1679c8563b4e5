"""Events are claimed, judged by the rules of their time, and struck off once."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from app.extensions import session
from app.models.alerts import Alert, Match
from app.models.events import PendingEvent
from app.models.notifications import Status
from app.models.rules import RuleVersion
from app.runtime import runtime
from app.services import matching, recompiling, rulesets
from rules_dsl import compile_rule
from tests.app.client import Client
from tests.app.helpers import ORDERS, claim, evaluate, finish, make_rule, notifications, post_event
from tests.app.statements import sent
from tests.conftest import TestClock


def test_a_match_writes_itself_an_alert_and_a_notification(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client)
    event_id = post_event(client)
    evaluation = evaluate(clock.tick(0.2))
    [notification] = notifications()
    assert evaluation.notification_ids == [notification.id]
    assert evaluation.triggered == ["Orders"]
    assert evaluation.waited == [0.2]
    assert notification.cause_id == event_id
    assert notification.target == "slack:#big-orders"
    alert = session().scalars(select(Alert)).one()
    assert (str(alert.rule_id), alert.state, alert.count) == (rule_id, "open", 1)
    assert session().scalars(select(Match.event_id)).all() == [event_id]
    assert session().scalars(select(PendingEvent)).all() == []


def test_what_is_false_or_unknown_leaves_nothing_behind(client: Client, clock: TestClock) -> None:
    make_rule(client)
    post_event(client, amount=5)
    post_event(client, amount="750")
    assert evaluate(clock()).notification_ids == []
    assert session().scalars(select(Match)).all() == []


def test_matches_of_one_rule_count_in_one_alert(client: Client, clock: TestClock) -> None:
    make_rule(client)
    for _ in range(3):
        post_event(client)
    evaluate(clock())
    post_event(client)
    evaluate(clock.tick(1))
    alert = session().scalars(select(Alert)).one()
    assert alert.count == 4
    assert len(notifications()) == 4


def test_a_claimed_event_is_nobody_elses_until_its_lease_ends(
    client: Client, clock: TestClock
) -> None:
    event_id = post_event(client)
    [first] = claim([event_id], clock())
    assert claim([event_id], clock.tick(21)) == []
    [second] = claim([event_id], clock.tick(2))
    assert second.epoch == first.epoch + 1


@pytest.mark.parametrize(
    ("dsl", "waits"),
    [
        ('when amount > 500 then notify("slack:#ops")', "off"),
        ('when count(amount > 500) over 5m >= 1 then notify("slack:#ops")', "on"),
    ],
)
def test_what_has_no_memory_does_not_wait_for_the_disk(
    client: Client, clock: TestClock, dsl: str, waits: str
) -> None:
    make_rule(client, dsl=dsl)
    held = claim([post_event(client)], clock())
    db, memory = session(), runtime().settings.memory
    judgement = matching.judge(matching.load(db, held))
    assert len(matching.record(db, held, judgement, None, clock(), memory).due) == 1
    assert db.scalar(text("SHOW synchronous_commit")) == waits
    db.commit()
    assert db.scalar(text("SHOW synchronous_commit")) == "on"


def test_a_worker_that_lost_its_claim_writes_nothing(client: Client, clock: TestClock) -> None:
    make_rule(client)
    event_id = post_event(client)
    lost = claim([event_id], clock())
    held = claim([event_id], clock.tick(23))
    assert finish(lost, clock()).notification_ids == []
    assert len(finish(held, clock()).notification_ids) == 1


def test_what_takes_too_long_is_given_back_and_the_rest_is_written(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "JUDGE_SECONDS", -1.0)
    make_rule(client)
    for _ in range(3):
        post_event(client)
        clock.tick(1)
    for left in (2, 1, 0):
        assert len(evaluate(clock()).notification_ids) == 1
        assert len(session().scalars(select(PendingEvent)).all()) == left


def test_rules_are_judged_without_a_transaction_that_would_hold_locks(
    client: Client, clock: TestClock
) -> None:
    make_rule(client)
    event_id = post_event(client)
    events = matching.load(session(), claim([event_id], clock()))
    session().commit()
    judgement = matching.judge(events)
    assert not session().in_transaction()
    assert [match.rule.name for match in judgement.found] == ["Orders"]


def test_an_event_that_is_done_cannot_be_claimed(client: Client, clock: TestClock) -> None:
    event_id = post_event(client)
    evaluate(clock())
    assert claim([event_id], clock.tick(60)) == []


def test_the_version_that_was_current_at_acceptance_decides(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client)
    before = post_event(client, amount=750)
    client.patch(
        f"/rules/{rule_id}",
        json={"dsl": 'when amount > 10000 then notify("slack:#huge")'},
    )
    post_event(client, amount=750)
    evaluate(clock.tick(1))
    assert [(n.cause_id, n.target) for n in notifications()] == [(before, "slack:#big-orders")]


def test_an_event_older_than_what_is_loaded_is_still_judged_by_its_own_versions(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client)
    old = post_event(client)
    held = claim([old], clock())
    client.patch(f"/rules/{rule_id}", json={"dsl": 'when amount > 1 then notify("slack:#now")'})
    make_rule(client, name="Later")
    clock.tick(1)
    new = post_event(client)
    rulesets.live.forget()
    evaluate(clock(), [new])
    finish(held, clock())
    assert sorted((n.cause_id, n.target) for n in notifications()) == [
        (old, "slack:#big-orders"),
        (new, "slack:#big-orders"),
        (new, "slack:#now"),
    ]


def test_versions_that_ended_long_ago_are_dropped_and_brought_back_for_an_old_event(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rulesets, "KEPT_REVISIONS", 2)
    rule_id = make_rule(client)
    old = claim([post_event(client)], clock())
    for number in range(5):
        changed = f'when amount > {number} then notify("slack:#v{number}")'
        client.patch(f"/rules/{rule_id}", json={"dsl": changed})
        evaluate(clock.tick(1), [post_event(client)])
    finish(old, clock.tick(1))
    targets = [n.target for n in notifications()]
    assert targets == [f"slack:#v{number}" for number in range(5)] + ["slack:#big-orders"]


def test_a_rule_made_after_acceptance_does_not_judge_the_event(
    client: Client, clock: TestClock
) -> None:
    post_event(client)
    make_rule(client)
    assert evaluate(clock()).triggered == []


def test_a_rule_switched_off_while_its_events_wait_sends_nothing_and_counts_it(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client)
    post_event(client)
    client.patch(f"/rules/{rule_id}", json={"enabled": False})
    assert evaluate(clock()).notification_ids == []
    assert [(n.status, n.reason) for n in notifications()] == [(Status.CANCELLED, "rule_off")]


def test_a_rule_deleted_while_its_notifications_wait_cancels_and_says_how_many(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client)
    for _ in range(2):
        post_event(client)
    evaluate(clock())
    answer = client.delete(f"/rules/{rule_id}")
    assert answer.headers["X-Cancelled-Notifications"] == "2"
    assert {n.status for n in notifications()} == {Status.CANCELLED}


def test_numbers_reach_the_rules_exactly_as_they_were_sent(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, 'when n == 9007199254740993 then notify("slack:#exact")', "Exact")
    make_rule(client, 'when big == 1e308 then notify("slack:#big")', "Big")
    post_event(client, n=9007199254740993, big=1e308)
    post_event(client, n=9007199254740992)
    evaluate(clock())
    assert sorted(n.target for n in notifications()) == ["slack:#big", "slack:#exact"]


def test_a_tree_stored_by_another_release_is_compiled_again(
    client: Client, clock: TestClock
) -> None:
    make_rule(client)
    session().execute(update(RuleVersion).values(tree={"schema": -1}, schema=-1))
    session().commit()
    rulesets.live.forget()
    post_event(client)
    assert evaluate(clock()).triggered == ["Orders"]
    assert recompiling.recompile(session()) == 1
    session().commit()
    assert recompiling.recompile(session()) == 0


def test_of_trees_of_another_release_so_many_current_ones_are_stored_anew_at_a_time(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recompiling, "AT_ONCE", 2)
    ended, refused = make_rule(client), make_rule(client, name="Refused")
    for name in ("Third", "Fourth"):
        make_rule(client, name=name)
    assert client.delete(f"/rules/{ended}").status_code == 204
    session().execute(update(RuleVersion).values(tree={"schema": -1}, schema=-1))
    broken = update(RuleVersion).where(RuleVersion.rule_id == refused)
    session().execute(broken.values(dsl="when the moon is full"))
    session().commit()
    assert [recompiling.recompile(session()) for _ in range(3)] == [2, 1, 0]
    session().commit()
    old = select(RuleVersion.name).where(RuleVersion.tree["schema"].as_integer() == -1)
    assert sorted(session().scalars(old)) == ["Orders", "Refused"]


def test_a_tree_of_another_release_is_stored_anew_also_where_its_rule_was_changed_meanwhile(
    client: Client,
) -> None:
    """Of a change of mode, for one, the next version has the tree of the one before."""
    rule = make_rule(client)
    session().execute(update(RuleVersion).values(tree={"schema": -1}, schema=-1))
    session().commit()
    assert client.post(f"/rules/{rule}/demote").status_code == 200
    assert recompiling.recompile(session()) == 1
    session().commit()
    current = select(RuleVersion.tree).where(RuleVersion.number == 2)
    assert session().scalar(current) == compile_rule(ORDERS).to_json()


def test_a_rule_that_this_release_refuses_is_left_out_and_the_others_fire(
    client: Client, clock: TestClock
) -> None:
    broken = make_rule(client, name="Broken")
    make_rule(client, name="Sound")
    session().execute(
        update(RuleVersion)
        .where(RuleVersion.rule_id == broken)
        .values(tree={"schema": -1}, schema=-1, dsl="when the moon is full")
    )
    session().commit()
    rulesets.live.forget()
    post_event(client)
    assert evaluate(clock()).triggered == ["Sound"]
    recompiling.recompile(session())
    session().commit()


def test_a_message_of_the_rule_is_rendered_with_the_events_values(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, 'when amount > 1 then notify("slack:#a") message "Order of {{ amount }}"')
    post_event(client)
    evaluate(clock() + timedelta(seconds=1))
    assert notifications()[0].message == "Order of 750"


def test_a_rule_that_spends_its_budget_is_recorded_and_the_others_fire(
    client: Client, clock: TestClock
) -> None:
    costly = "any x in a: (any y in a: (any z in a: (z == x and z != y)))"
    make_rule(client, f'when {costly} then notify("slack:#never")', "Costly")
    make_rule(client)
    event_id = post_event(client, a=["yes"] * 100)
    evaluation = evaluate(clock())
    assert (evaluation.triggered, evaluation.failed_rules) == (["Orders"], ["Costly"])
    trace = client.get(f"/events/{event_id}/trace").json
    assert [error["reason"] for error in trace["rule_errors"]] == ["budget"]
    assert [alert["count"] for alert in trace["alerts"]] == [1]
    assert [one["target"] for one in trace["notifications"]] == ["slack:#big-orders"]
    assert trace["event"]["state"] == "evaluated"


def test_an_event_on_which_our_own_code_fails_is_recorded_as_failed_and_the_others_go_on(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rule(client)
    bad = post_event(client, poor=True)
    good = post_event(client)
    match = rulesets.live.match

    def mistaken(body: dict[str, Any], *rest: Any) -> Any:
        return 1 / 0 if "poor" in body else match(body, *rest)

    monkeypatch.setattr(rulesets.live, "match", mistaken)
    evaluation = evaluate(clock())
    assert (evaluation.failed_events, evaluation.triggered) == (1, ["Orders"])
    shown = client.get(f"/events/{bad}").json
    assert (shown["state"], shown["reason"]) == ("failed", "error: ZeroDivisionError")
    assert client.get(f"/events/{good}").json["state"] == "evaluated"


def test_what_was_given_back_does_not_count_as_begun(
    client: Client, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "JUDGE_SECONDS", -1.0)
    for _ in range(2):
        post_event(client)
    evaluation = evaluate(clock())
    [left] = session().scalars(select(PendingEvent)).all()
    assert evaluation.left == [left.event_id]
    assert (left.begun, left.lease_until) == (0, None)


def test_two_versions_of_a_rule_in_one_claim_count_into_one_alert(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client)
    post_event(client)
    client.patch(f"/rules/{rule_id}", json={"dsl": 'when amount > 1 then notify("slack:#now")'})
    post_event(client)
    evaluate(clock.tick(1))
    assert session().scalars(select(Alert.count)).all() == [2]


def test_the_work_of_a_claim_takes_as_many_statements_for_many_as_for_few(
    client: Client, clock: TestClock
) -> None:
    for number in range(10):
        make_rule(client, name=f"Rule {number}")
    counts = []
    for size in (1, 2, 40):
        for _ in range(size):
            post_event(client)
        with sent() as seen:
            evaluate(clock.tick(1))
        counts.append(len(seen))
    # The first loaded the rules.
    assert counts[1] == counts[2]
