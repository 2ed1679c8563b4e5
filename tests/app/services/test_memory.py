"""Rules with memory decide over PostgreSQL, in the order in which their states were held."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from app.config import Settings
from app.extensions import session
from app.models.alerts import Alert, AlertState, Match, Suppression
from app.models.memory import RuleState
from app.models.notifications import Cause
from app.services import alerts, decisions, forgetting
from app.services.alerts import Hand
from app.services.delivery import Sending
from tests.app.client import Client
from tests.app.helpers import (
    begin_attempt,
    claim,
    evaluate,
    finish,
    fire,
    make_rule,
    notifications,
    post_event,
)
from tests.conftest import TestClock

LOGINS = (
    'when count(type == "login_failed") over 5m by user >= 3 then notify("slack:#sec")'
    ' message "{{ user }} again"'
)
SILENT = 'when absent(type == "beat") for 10m by host expect ["a"] then notify("slack:#ops")'


def fail(client: Client, clock: TestClock, user: str = "ada", **more: object) -> UUID:
    event_id = post_event(client, type="login_failed", user=user, **more)
    evaluate(clock.tick(1))
    return event_id


def reasons(event_id: UUID) -> list[str]:
    return [str(one.made["reason"]) for one in decisions.of_event(session(), event_id)]


def windows(event_id: UUID) -> list[object]:
    [made] = decisions.of_event(session(), event_id)
    found: list[object] = made.made["values"]["windows"]
    return found


def held() -> list[tuple[str, str]]:
    rows = session().scalars(select(Suppression).order_by(Suppression.id))
    return [(row.kind, row.reason) for row in rows]


def open_alerts() -> list[tuple[str, int]]:
    session().expire_all()
    rows = session().scalars(select(Alert).where(Alert.state != AlertState.RESOLVED))
    return sorted((row.key, row.count) for row in rows)


def test_a_window_counts_over_batches_by_key(client: Client, clock: TestClock) -> None:
    make_rule(client, LOGINS)
    for user in ("ada", "bob", "ada"):
        fail(client, clock, user)
    assert notifications() == []
    event_id = fail(client, clock)
    assert [(one.cause_id, one.message) for one in notifications()] == [(event_id, "ada again")]
    assert open_alerts() == [('["ada"]', 1)]
    assert reasons(event_id) == ['3 of 3 within 5m for user = "ada"']


def test_a_window_counts_within_one_batch(client: Client, clock: TestClock) -> None:
    make_rule(client, LOGINS)
    for _ in range(4):
        post_event(client, type="login_failed", user="ada")
        clock.tick(1)
    assert evaluate(clock()).triggered == ["Orders", "Orders"]
    assert open_alerts() == [('["ada"]', 2)]


def test_an_event_is_decided_once_whoever_evaluates_it(client: Client, clock: TestClock) -> None:
    make_rule(client, LOGINS)
    event_id = post_event(client, type="login_failed", user="ada")
    lost = claim([event_id], clock())
    again = claim([event_id], clock.tick(23))
    finish(again, clock())
    finish(lost, clock())
    fail(client, clock)
    assert notifications() == []
    fail(client, clock)
    assert len(notifications()) == 1


def test_a_replayed_event_and_a_late_one_change_nothing(client: Client, clock: TestClock) -> None:
    make_rule(client, LOGINS)
    fail(client, clock)
    late = (clock() - timedelta(minutes=3)).isoformat()
    event_id = fail(client, clock, time=late)
    assert reasons(event_id) == ["late"]
    fail(client, clock)
    assert notifications() == []


def test_the_recorded_order_of_a_key_can_be_read_back(client: Client, clock: TestClock) -> None:
    make_rule(client, LOGINS)
    ids = [fail(client, clock) for _ in range(3)]
    numbers = [one.made["number"] for key in ids for one in decisions.of_event(session(), key)]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


def test_a_trace_explains_from_the_record_what_a_rule_with_memory_decided(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, LOGINS + " throttle 1 per 1h")
    ids = [fail(client, clock) for _ in range(4)]
    first, *_, last = [client.get(f"/events/{key}/trace").json["decisions"][0] for key in ids]
    assert (first["outcome"], first["reason"], first["verdict"]) == (False, None, None)
    assert first["explanation"]["reason"] == '1 of 3 within 5m for user = "ada"'
    assert (last["outcome"], last["reason"]) == (True, '4 of 3 within 5m for user = "ada"')
    assert (last["verdict"], last["held"]) == ("throttled", "throttled: 1 of 1 since 12:00:03")
    assert last["number"] == first["number"] + 3


def test_an_edit_begins_anew_and_its_events_of_before_go_by_the_old_version(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, LOGINS)
    fail(client, clock)
    fail(client, clock)
    before = post_event(client, type="login_failed", user="ada")
    client.patch(f"/rules/{rule_id}", json={"dsl": LOGINS.replace("#sec", "#new")})
    clock.tick(1)
    post_event(client, type="login_failed", user="ada")
    evaluate(clock())
    assert [(one.cause_id, one.target) for one in notifications()] == [(before, "slack:#sec")]


def test_another_name_is_no_reason_to_forget(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client, LOGINS)
    fail(client, clock)
    before = post_event(client, type="login_failed", user="ada")
    client.patch(f"/rules/{rule_id}", json={"name": "Logins"})
    client.patch(f"/rules/{rule_id}", json={"description": "of one user", "tags": ["sec"]})
    clock.tick(1)
    after = post_event(client, type="login_failed", user="ada")
    # In one batch, of which the first event goes by the version of before.
    assert evaluate(clock()).triggered != []
    assert [windows(before), windows(after)] == [[2], [3]]
    client.patch(f"/rules/{rule_id}", json={"enabled": False})
    client.patch(f"/rules/{rule_id}", json={"enabled": True})
    assert windows(fail(client, clock)) == [1]


def test_another_name_keeps_what_is_awaited_and_grouped(client: Client, clock: TestClock) -> None:
    silent = make_rule(client, SILENT, "silent")
    grouped = make_rule(client, 'when amount > 5 then notify("slack:#g") group 30s', "grouped")
    post_event(client, type="beat", host="b")
    evaluate(clock.tick(1))
    for key in (silent, grouped):
        client.patch(f"/rules/{key}", json={"name": f"New {key}"})
    fire(clock.tick(31))
    assert [one.target for one in notifications()] == ["slack:#g"]
    fire(clock.tick(601))
    assert open_alerts() == [("", 1), ('["a"]', 1), ('["b"]', 1)]
    fire(clock.tick(601))
    assert len(notifications()) == 3


def test_a_memory_is_forgotten_when_its_last_version_ends(client: Client, clock: TestClock) -> None:
    rule_id = make_rule(client, LOGINS)
    fail(client, clock)
    client.patch(f"/rules/{rule_id}", json={"name": "Logins"})
    fail(client, clock)
    assert forgotten(clock) == 1
    client.delete(f"/rules/{rule_id}")
    assert forgotten(clock) == 0


def forgotten(clock: TestClock) -> int:
    """How many states are left by the housekeeping of a little later."""
    clock.tick(61)
    for step in forgetting.steps(session(), clock()):
        while step(session()):
            pass
    session().commit()
    return len(session().scalars(select(RuleState.key)).all())


def test_absence_is_told_once_by_the_timers(client: Client, clock: TestClock) -> None:
    make_rule(client, SILENT)
    assert fire(clock.tick(599)).triggered == []
    assert fire(clock.tick(2)).triggered == ["Orders"]
    assert fire(clock.tick(60)).triggered == []
    [told] = notifications()
    assert told.cause == Cause.TIMER
    assert told.message == 'Orders: nothing since 12:00 for host = "a"'
    assert open_alerts() == [('["a"]', 1)]


def test_absence_is_about_the_last_event(
    client: Client, clock: TestClock, settings: Settings
) -> None:
    make_rule(client, SILENT)
    event_id = post_event(client, type="beat", host="b")
    evaluate(clock.tick(1))
    fire(clock.tick(601))
    [about] = session().scalars(select(Match.event_id).where(Match.event_id == event_id)).all()
    assert about == event_id
    told = next(one for one in notifications() if '"b"' in one.message)
    sending = begin_attempt(told.id, settings, clock)
    assert isinstance(sending, Sending)
    assert sending.notice.kind == "alert.opened"
    assert sending.notice.event["id"] == str(event_id)
    assert sending.notice.event["body"]["last"]["host"] == "b"
    assert "nothing since" in str(sending.notice.explanation)


def test_what_never_came_is_told_by_what_stands_in_for_it(
    client: Client, clock: TestClock, settings: Settings
) -> None:
    make_rule(client, SILENT)
    fire(clock.tick(601))
    sending = begin_attempt(notifications()[0].id, settings, clock)
    assert isinstance(sending, Sending)
    notice = sending.notice
    assert notice.alert["key"] == '["a"]'
    assert (notice.event["id"], notice.event["type"]) == (None, "sentinel.absent")
    assert notice.event["body"] == {"type": "sentinel.absent", "host": "a", "last": None}
    assert notice.explanation is not None
    assert notice.explanation["reason"] == 'nothing since 12:00 for host = "a"'


def test_no_time_passes_while_an_event_waits(client: Client, clock: TestClock) -> None:
    make_rule(client, SILENT)
    clock.tick(300)
    event_id = post_event(client, type="beat", host="a")
    clock.tick(400)
    assert fire(clock()).triggered == []
    evaluate(clock(), [event_id])
    assert fire(clock()).triggered == []
    assert fire(clock.tick(201)).triggered == ["Orders"]


def test_poison_does_not_stop_the_time(client: Client, clock: TestClock) -> None:
    make_rule(client, SILENT)
    event_id = post_event(client, type="poison")
    for _ in range(3):
        claim([event_id], clock.tick(300))
    assert fire(clock()).triggered == ["Orders"]


def test_a_group_is_one_notification(client: Client, clock: TestClock) -> None:
    make_rule(client, 'when amount > 500 then notify("slack:#o") group 30s by region')
    for amount in (600, 700, 800):
        post_event(client, amount=amount, region="eu")
        evaluate(clock.tick(1))
    assert notifications() == []
    assert [kind for kind, _ in held()] == ["grouped"] * 3
    fire(clock.tick(30))
    [told] = notifications()
    assert told.cause == Cause.GROUP
    assert told.message == "3 matches, the last: Orders matched an event of type order"


def test_what_is_held_is_told_when_its_time_begins(client: Client, clock: TestClock) -> None:
    make_rule(client, 'when amount > 500 then notify("slack:#o") during daily 13:00-14:00 "UTC"')
    post_event(client)
    evaluate(clock.tick(1))
    assert held() == [("held", "held until 13:00 UTC")]
    fire(clock.tick(3590))
    assert notifications() == []
    fire(clock.tick(10))
    assert [one.message for one in notifications()] == ["Orders matched an event of type order"]


HELD = (
    'when status == "down" then notify("slack:#o", resolved: true) {clause}'
    ' resolve when status == "ok" by host'
)


@pytest.mark.parametrize("clause", ["group 60s", 'during daily 12:01-14:00 "UTC"'])
def test_the_end_of_what_is_told_after_it_is_told_too(
    client: Client, clock: TestClock, clause: str
) -> None:
    make_rule(client, HELD.replace("{clause}", clause))
    for status in ("down", "ok"):
        post_event(client, status=status, host="a")
        evaluate(clock.tick(1))
    assert (open_alerts(), notifications()) == ([], [])
    fire(clock.tick(60))
    assert sorted(one.message for one in notifications()) == [
        "Orders matched an event of type order",
        "Resolved by Orders after 1 match since 2026-03-01 12:00 UTC",
    ]


def test_what_is_told_after_its_end_and_silenced_has_no_end_to_tell(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, HELD.replace("{clause}", "group 60s"))
    for status in ("down", "ok"):
        post_event(client, status=status, host="a")
        evaluate(clock.tick(1))
    client.post("/silences", json={"severity": "warning", "for": "1h"})
    fire(clock.tick(60))
    assert notifications() == []


def test_a_throttled_match_says_so(client: Client, clock: TestClock) -> None:
    make_rule(client, 'when amount > 500 then notify("slack:#o") throttle 2 per 10m')
    for _ in range(3):
        post_event(client)
        evaluate(clock.tick(1))
    assert len(notifications()) == 2
    assert held() == [("throttled", "throttled: 2 of 2 since 12:00:01")]
    assert open_alerts() == [("", 3)]


def test_an_open_alert_of_another_rule_inhibits_also_within_a_batch(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, 'when type == "db_down" then notify("slack:#db")', "db-down")
    make_rule(client, 'when amount > 500 then notify("slack:#o") unless open("db-down")')
    post_event(client, type="db_down", amount=1)
    clock.tick(1)
    post_event(client)
    evaluate(clock())
    post_event(client)
    evaluate(clock.tick(1))
    assert [one.target for one in notifications()] == ["slack:#db"]
    assert held() == [("inhibited", 'inhibited: "db-down" is open')] * 2


def test_a_rule_that_is_off_or_gone_holds_nobody_back(client: Client, clock: TestClock) -> None:
    down = 'when type == "db_down" then notify("slack:#db")'
    parents = [make_rule(client, down, name) for name in ("off", "gone")]
    for name in ("off", "gone"):
        dsl = f'when amount > 500 then notify("slack:#{name}") unless open("{name}")'
        make_rule(client, dsl, f"under {name}")
    post_event(client, type="db_down", amount=1)
    evaluate(clock.tick(1))
    client.patch(f"/rules/{parents[0]}", json={"enabled": False})
    client.delete(f"/rules/{parents[1]}")
    before = len(notifications())
    post_event(client)
    evaluate(clock.tick(1))
    told = sorted(one.target for one in notifications()[before:])
    assert told == ["slack:#gone", "slack:#off"]


def test_a_rule_is_known_by_the_names_that_it_has_and_had(client: Client, clock: TestClock) -> None:
    parent = make_rule(client, 'when type == "db_down" then notify("slack:#db")', "db-down")
    child = make_rule(client, 'when amount > 500 then notify("slack:#o") unless open("db-down")')
    client.patch(f"/rules/{parent}", json={"name": "database-down"})
    post_event(client, type="db_down", amount=1)
    clock.tick(1)
    post_event(client)
    evaluate(clock.tick(1))
    assert held() == [("inhibited", 'inhibited: "db-down" is open')]
    assert client.get(f"/rules/{child}").json["warnings"] == []
    # Whoever takes the name is meant from then on.
    make_rule(client, 'when type == "other" then notify("slack:#db")', "db-down")
    post_event(client)
    evaluate(clock.tick(1))
    assert len(held()) == 1


def test_a_rule_resolves_its_alert_by_an_event(client: Client, clock: TestClock) -> None:
    make_rule(
        client,
        'when status == "down" then notify("slack:#o", resolved: true)'
        ' resolve when status == "ok" by host',
    )
    for status in ("down", "ok", "down"):
        post_event(client, status=status, host="a")
        clock.tick(1)
    evaluate(clock())
    assert open_alerts() == [('["a"]', 1)]
    told = [(one.cause, one.message) for one in notifications()]
    assert sorted(told) == [
        (Cause.ALERT, "Resolved by Orders after 1 match since 2026-03-01 12:00 UTC"),
        (Cause.EVENT, "Orders matched an event of type order"),
        (Cause.EVENT, "Orders matched an event of type order"),
    ]


def test_a_rule_resolves_its_alert_after_a_time_since_the_last_match(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, 'when amount > 500 then notify("slack:#o") resolve after 10m')
    post_event(client)
    evaluate(clock.tick(1))
    post_event(client)
    evaluate(clock.tick(300))
    fire(clock.tick(599))
    assert open_alerts() == [("", 2)]
    fire(clock.tick(2))
    assert open_alerts() == []


def test_an_alert_resolved_by_hand_is_no_longer_the_rules_to_resolve(
    client: Client, clock: TestClock
) -> None:
    make_rule(client, 'when amount > 500 then notify("slack:#o") resolve after 10m')
    post_event(client)
    evaluate(clock.tick(1))
    alert = session().scalars(select(Alert)).one()
    alerts.resolve(session(), alert.id, Hand("ada"), None, clock())
    session().commit()
    assert session().scalars(select(RuleState.due)).all() == [None]
    post_event(client)
    evaluate(clock.tick(300))
    fire(clock.tick(400))
    assert open_alerts() == [("", 1)]


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_group_does_not_open_again_what_was_resolved_at_the_receivers(
    client: Client, clock: TestClock, by_hand: bool
) -> None:
    """Their end was told, and is told once: what came after it would stay open there for ever."""
    ends = 'resolve when status == "ok"'
    make_rule(client, f'when amount > 500 then notify("slack:#o", resolved: true) group 30s {ends}')
    post_event(client)
    evaluate(clock.tick(1))
    fire(clock.tick(31))
    post_event(client)
    evaluate(clock.tick(1))
    if by_hand:
        alert = session().scalars(select(Alert)).one()
        alerts.resolve(session(), alert.id, Hand("ada"), None, clock())
        session().commit()
    else:
        post_event(client, amount=1, status="ok")
        evaluate(clock.tick(1))
    fire(clock.tick(31))
    assert [one.cause for one in notifications()] == [Cause.GROUP, Cause.ALERT]
    assert [kind for kind, _ in held()] == ["grouped", "grouped", "resolved"]


def test_an_edited_rule_still_resolves_what_it_opened_before(
    client: Client, clock: TestClock
) -> None:
    text = 'when status == "down" then notify("slack:#o") resolve when status == "ok" by host'
    rule_id = make_rule(client, text)
    post_event(client, status="down", host="a")
    evaluate(clock.tick(1))
    client.patch(f"/rules/{rule_id}", json={"dsl": f"{text} severity high"})
    post_event(client, status="ok", host="a")
    evaluate(clock.tick(1))
    assert open_alerts() == []


def test_a_rule_that_is_switched_off_tells_nothing_that_it_held_back(
    client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, 'when amount > 500 then notify("slack:#o") group 30s')
    post_event(client)
    evaluate(clock.tick(1))
    client.patch(f"/rules/{rule_id}", json={"enabled": False})
    fire(clock.tick(31))
    assert [(one.status, one.reason) for one in notifications()] == [("cancelled", "rule_off")]


def test_an_edit_does_not_lose_a_group(client: Client, clock: TestClock) -> None:
    dsl = 'when amount > 500 then notify("slack:#o") group 30s'
    rule_id = make_rule(client, dsl)
    post_event(client)
    evaluate(clock.tick(1))
    client.patch(f"/rules/{rule_id}", json={"dsl": f"{dsl} severity high"})
    fire(clock.tick(31))
    assert [one.status for one in notifications()] == ["pending"]


@pytest.mark.parametrize("change", [{"enabled": False}, {"dsl": f"{SILENT} severity high"}])
def test_what_a_version_awaited_ends_with_it(
    client: Client, clock: TestClock, change: dict[str, object]
) -> None:
    rule_id = make_rule(client, SILENT)
    clock.tick(300)
    client.patch(f"/rules/{rule_id}", json=change)
    assert fire(clock.tick(301)).triggered == []
