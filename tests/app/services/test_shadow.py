"""A rule in shadow is evaluated and recorded, notifies nobody, and takes nothing from live rules."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text

from app.channels.base import Outcome, Verdict
from app.config import Settings
from app.extensions import session
from app.models.alerts import Alert, Match, RuleFailure, Suppression
from app.models.silences import Storm
from app.services import alerts, digests, rulesets
from app.services.alerts import Hand
from app.services.delivery import Result, Sending
from tests.app.client import Client
from tests.app.helpers import (
    ORDERS,
    begin_attempt,
    end_attempt,
    evaluate,
    fire,
    make_rule,
    notifications,
    post_event,
)
from tests.conftest import TestClock

IN_SHADOW = "the rule is in shadow: it is evaluated, and tells nobody"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, storm_limit=3)


def held() -> list[tuple[str, str]]:
    session().expire_all()
    rows = session().scalars(select(Suppression).order_by(Suppression.id))
    return [(row.kind, row.reason) for row in rows]


def kinds() -> list[str]:
    return [kind for kind, _ in held()]


def promote(client: Client, rule_id: str) -> None:
    assert client.post(f"/rules/{rule_id}/promote").status_code == 200


def demote(client: Client, rule_id: str) -> None:
    assert client.post(f"/rules/{rule_id}/demote").status_code == 200


def test_a_match_in_shadow_is_on_record_with_the_reason_and_notifies_nobody(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, mode="shadow")
    event_id = post_event(client)
    evaluation = evaluate(clock.tick(1))
    assert (evaluation.triggered, evaluation.due, evaluation.cancelled) == (["Orders"], [], [])
    assert notifications() == []
    trace = client.get(f"/events/{event_id}/trace").json
    assert [one["rule_id"] for one in trace["matches"]] == [rule_id]
    assert [(one["kind"], one["reason"]) for one in trace["suppressions"]] == [
        ("shadow", IN_SHADOW)
    ]
    assert len(client.get("/suppressions?kind=shadow").json["data"]) == 1


def test_what_fails_in_shadow_is_on_record(client: Client, clock: TestClock) -> None:
    items = [{"a": n} for n in range(1100)]
    dsl = 'when any x in items: (any y in items: (x.a + y.a == -1)) then notify("slack:#a")'
    make_rule(client, dsl, mode="shadow")
    post_event(client, items=items)
    evaluate(clock.tick(1))
    assert [row.reason for row in session().scalars(select(RuleFailure))] == ["budget"]


def test_what_came_in_shadow_is_not_sent_when_the_rule_is_live(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, mode="shadow")
    before = post_event(client)
    promote(client, rule_id)
    after = post_event(client)
    evaluate(clock.tick(1))
    assert [one.cause_id for one in notifications()] == [after]
    [row] = session().scalars(select(Suppression))
    assert (row.cause_id, row.reason) == (
        before,
        "the rule was in shadow when this came: it told nobody",
    )


def test_what_came_while_it_was_live_is_held_back_once_it_is_in_shadow(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client)
    post_event(client)
    demote(client, rule_id)
    assert evaluate(clock.tick(1)).cancelled == []
    assert notifications() == []
    assert held() == [("shadow", IN_SHADOW)]


def test_what_came_in_shadow_leaves_no_notification_once_the_rule_is_off(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, mode="shadow")
    post_event(client)
    client.patch(f"/rules/{rule_id}", json={"mode": "off"})
    assert evaluate(clock.tick(1)).cancelled == []
    assert kinds() == ["shadow"]
    post_event(client)
    assert evaluate(clock.tick(1)).triggered == []


def test_demotion_cancels_what_is_unsent_and_says_how_many(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client)
    post_event(client)
    evaluate(clock.tick(1))
    answer = client.post(f"/rules/{rule_id}/demote")
    assert answer.headers["X-Cancelled-Notifications"] == "1"
    assert [(one.status, one.reason) for one in notifications()] == [("cancelled", "rule_shadow")]


def test_an_attempt_under_way_at_the_demotion_is_not_repeated(
    client: Client, clock: TestClock, settings: Settings
) -> None:
    rule_id = make_rule(client)
    post_event(client)
    [key] = evaluate(clock.tick(1)).notification_ids
    begun = begin_attempt(key, settings, clock)
    assert isinstance(begun, Sending)
    demote(client, rule_id)
    failed = Verdict(Outcome.TRANSIENT, 500, "HTTP 500")
    end_attempt(begun, clock, failed, settings.retry)
    clock.tick(3600)
    ended = begin_attempt(key, settings, clock)
    assert isinstance(ended, Result)
    assert [(one.status, one.reason) for one in notifications()] == [("cancelled", "rule_shadow")]


def test_a_storm_takes_no_notice_of_a_rule_in_shadow(client: Client, clock: TestClock) -> None:
    make_rule(client, 'when type == "a" then notify("slack:#a")', name="Tried", mode="shadow")
    make_rule(client, 'when type == "a" then notify("slack:#a")', name="Live")
    for _ in range(3):
        post_event(client, type="a")
    assert len(evaluate(clock.tick(1)).notification_ids) == 3
    assert session().scalars(select(Storm.wanted)).all() == [3]


def test_the_digest_of_a_silence_tells_nothing_of_a_rule_in_shadow(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, mode="shadow")
    silence = {"condition": 'type == "order"', "for": "1h", "digest": ["slack:#ops"]}
    assert client.post("/silences", json=silence).status_code == 201
    post_event(client)
    evaluate(clock.tick(1))
    assert kinds() == ["shadow"]
    assert digests.send(session(), clock.tick(4000)) == []


DOWN = 'when type == "db" then notify("slack:#db")'
SLOW = 'when type == "slow" then notify("slack:#slow") unless open("Down")'


@pytest.mark.parametrize("batches", [1, 2])
def test_an_alert_that_only_shadow_has_opened_holds_nobody_back(
    client: Client, clock: TestClock, batches: int
) -> None:
    down = make_rule(client, DOWN, name="Down", mode="shadow")
    make_rule(client, SLOW, name="Slow")
    post_event(client, type="db")
    if batches == 2:
        evaluate(clock.tick(1))
    clock.tick(1)
    post_event(client, type="slow")
    evaluate(clock.tick(1))
    assert [one.target for one in notifications()] == ["slack:#slow"]
    promote(client, down)
    post_event(client, type="db")
    evaluate(clock.tick(1))
    post_event(client, type="slow")
    evaluate(clock.tick(1))
    assert [one.target for one in notifications()] == ["slack:#slow", "slack:#db"]
    assert kinds()[-1] == "inhibited"


def test_an_alert_says_whether_shadow_alone_has_opened_it(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client, mode="shadow")
    post_event(client)
    evaluate(clock.tick(1))
    [alert] = client.get("/alerts?shadow=true").json["data"]
    assert (alert["shadow"], alert["notified_at"]) == (True, None)
    assert client.get("/alerts?shadow=false").json["data"] == []
    promote(client, rule_id)
    post_event(client)
    evaluate(clock.tick(1))
    [alert] = client.get("/alerts?shadow=false").json["data"]
    assert (alert["shadow"], alert["count"]) == (False, 2)


def test_the_end_of_an_alert_is_told_to_nobody_while_its_rule_is_in_shadow(
    client: Client, clock: TestClock
) -> None:
    told = 'when type == "order" then notify("slack:#o", resolved: true)'
    rule_id = make_rule(client, told)
    post_event(client)
    evaluate(clock.tick(1))
    demote(client, rule_id)
    alert = session().scalars(select(Alert)).one()
    alerts.resolve(session(), alert.id, Hand("ada"), None, clock.tick(1))
    session().commit()
    assert len(notifications()) == 1
    assert held() == [("shadow", IN_SHADOW)]


GROUPED = 'when amount > 500 then notify("slack:#o") group 30s'


def test_a_group_in_shadow_is_gathered_and_told_to_nobody(client: Client, clock: TestClock) -> None:
    make_rule(client, GROUPED, mode="shadow")
    for _ in range(2):
        post_event(client)
    evaluate(clock.tick(1))
    fire(clock.tick(31))
    assert notifications() == []
    assert kinds() == ["grouped", "grouped", "shadow"]


def test_a_group_that_was_begun_live_is_told_to_nobody_in_shadow(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, GROUPED)
    post_event(client)
    evaluate(clock.tick(1))
    demote(client, rule_id)
    fire(clock.tick(31))
    assert notifications() == []
    assert kinds() == ["grouped", "shadow"]


def test_a_timed_condition_in_shadow_comes_true_and_tells_nobody(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, 'when absent(type == "beat") for 10m then notify("slack:#o")', mode="shadow")
    clock.tick(601)
    assert fire(clock.tick(1)).triggered == ["Orders"]
    assert notifications() == []
    assert kinds() == ["shadow"]
    assert len(session().scalars(select(Match)).all()) == 1


def test_a_rule_in_shadow_resolves_its_own_alerts(client: Client, clock: TestClock) -> None:
    dsl = 'when type == "order" then notify("slack:#o", resolved: true) resolve when type == "ok"'
    make_rule(client, dsl, mode="shadow")
    post_event(client)
    evaluate(clock.tick(1))
    post_event(client, type="ok")
    evaluate(clock.tick(1))
    assert session().scalars(select(Alert.state)).all() == ["resolved"]
    assert notifications() == []


def test_to_the_release_before_a_rule_in_shadow_is_off_and_its_switch_has_the_last_word(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, mode="shadow")
    row = text("SELECT enabled FROM rules UNION ALL SELECT enabled FROM rule_versions")
    assert session().scalars(row).all() == [False, False]
    for table, key in (("rules", "id"), ("rule_versions", "rule_id")):
        session().execute(text(f"UPDATE {table} SET enabled = true WHERE {key} = '{rule_id}'"))
    session().commit()
    session().expire_all()
    rulesets.live.forget()
    assert client.get(f"/rules/{rule_id}").json["mode"] == "live"
    post_event(client)
    assert len(evaluate(clock.tick(1)).notification_ids) == 1


def test_a_retry_by_hand_of_a_rule_in_shadow_sends_nothing(
    client: Client, clock: TestClock, settings: Settings
) -> None:
    rule_id = make_rule(client)
    post_event(client)
    [key] = evaluate(clock.tick(1)).notification_ids
    begun = begin_attempt(key, settings, clock)
    end_attempt(begun, clock, Verdict(Outcome.PERMANENT, 400, "HTTP 400"), settings.retry)
    demote(client, rule_id)
    assert client.post(f"/notifications/{key}/retry").status_code == 202
    ended = begin_attempt(UUID(str(key)), settings, clock)
    assert isinstance(ended, Result)
    assert ended.status == "cancelled"


def test_what_the_release_before_writes_is_live_or_off(client: Client) -> None:
    columns = "id, name, enabled, created_at, updated_at"
    for name, enabled in (("On", True), ("Off", False)):
        key = uuid4()
        session().execute(
            text(
                f"INSERT INTO rules ({columns}) VALUES ('{key}', '{name}', {enabled}, now(), now())"
            )
        )
        session().execute(
            text(
                "INSERT INTO rule_versions (id, rule_id, number, name, dsl, enabled, description, tags, tree,"
                f" schema, since_revision, created_at) VALUES (gen_random_uuid(), '{key}', 1, '{name}',"
                f" '{ORDERS}', {enabled}, '', '{{}}', '{{}}', 1, 1, now())"
            )
        )
    session().commit()
    found = {one["name"]: one["mode"] for one in client.get("/rules").json["data"]}
    assert found == {"On": "live", "Off": "off"}
