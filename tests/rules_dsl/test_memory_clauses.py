"""Clauses after `then`: what holds a notification back, in which words, and how an alert ends."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from rules_dsl import compile_rule, tree
from rules_dsl.memory import MemoryStates, Verdict
from rules_dsl.memory.calendar import Calendar
from tests.rules_dsl.memory_world import HOUR, MINUTE, SECOND, THEN, World

# throttle


def test_throttle_lets_so_many_rounds_through_and_names_the_rest() -> None:
    world = World("x | throttle 2 per 10m")
    assert world.verdict(4 * MINUTE, x=True) == ("notify", None)
    assert world.verdict(5 * MINUTE, x=True) == ("notify", None)
    assert world.verdict(6 * MINUTE, x=True) == ("throttled", "throttled: 2 of 2 since 10:04")
    assert world.verdict(14 * MINUTE, x=True) == ("notify", None)
    assert world.verdict(14 * MINUTE + 1, x=True)[1] == "throttled: 2 of 2 since 10:05"


def test_throttle_counts_for_each_key_that_it_names() -> None:
    world = World("x | throttle 1 per 10m by user.id")
    assert [world.verdict(0, x=True, user={"id": id})[0] for id in (1, 2, 1)] == [
        "notify", "notify", "throttled",
    ]  # fmt: skip
    assert [world.verdict(0, x=True)[0] for _ in range(2)] == ["notify", "throttled"]


def test_throttle_counts_by_the_key_of_the_rule_where_it_names_none() -> None:
    world = World("count() over 5m by u >= 1 | throttle 1 per 10m")
    assert [world.verdict(0, u=u)[0] for u in (1, 2, 1)] == ["notify", "notify", "throttled"]
    assert set(world.states) == {("", "[1]"), ("", "[2]")}


def test_a_throttled_match_is_a_match_of_the_alert() -> None:
    world = World("x | throttle 1 per 10m")
    assert [world.send(0, x=True).alert for _ in range(3)] == ["open", "count", "count"]


# group


def test_group_makes_one_round_of_the_matches_of_its_time() -> None:
    world = World("x | group 30s by region")
    assert world.verdict(0, x=True, region="eu") == ("grouped", "grouped until 10:00:30")
    world.send(10, x=True, region="us")
    last = world.event(20, x=True, region="eu")
    world.decide(last)
    assert world.sweep(29) == []
    (round,) = world.sweep(30)
    assert (round.kind, round.rounds, round.event) == ("group", 2, last.id)
    assert round.verdict == Verdict("notify")
    assert [each.rounds for each in world.sweep(40)] == [1]
    assert world.verdict(50, x=True, region="eu") == ("grouped", "grouped until 10:01:20")


def test_a_group_is_one_round_for_throttle() -> None:
    world = World("x | group 30s throttle 1 per 10m")
    assert [world.verdict(at, x=True)[0] for at in range(3)] == ["grouped"] * 3
    assert [each.verdict.kind for each in world.sweep(30) if each.verdict] == ["notify"]
    assert world.verdict(40, x=True) == ("throttled", "throttled: 1 of 1 since 10:00:30")


def test_groups_of_several_regions_share_a_throttle() -> None:
    world = World("x | group 30s by region throttle 1 per 10m")
    for region in ("eu", "us"):
        world.send(0, x=True, region=region)
    assert [each.verdict.kind for each in world.sweep(30) if each.verdict] == [
        "notify",
        "throttled",
    ]


def test_what_people_keep_quiet_joins_no_group_and_takes_no_other_match_with_it() -> None:
    world = World("x | group 30s")
    heard, quiet = world.event(0, x=True), world.event(10, x=True)
    world.quiet.add(quiet.id)
    decided = [world.decide(each)[-1].verdict for each in (heard, quiet)]
    assert [each and each.kind for each in decided] == ["grouped", "notify"]
    (round,) = world.sweep(30)
    assert (round.rounds, round.event) == (1, heard.id)


def test_a_group_tells_of_alerts_that_are_open_rather_than_of_those_that_are_over() -> None:
    world = World("x | group 30s by region resolve when ok by host")
    lasting = world.event(0, x=True, host="a", region="eu")
    world.decide(lasting)
    world.send(1, x=True, host="b", region="eu")
    world.send(2, ok=True, host="b", region="eu")
    (round,) = world.sweep(31)
    assert (round.rounds, round.event, round.key) == (1, lasting.id, '["a"]')


@pytest.mark.parametrize("clause", ["throttle 1 per 1h", "throttle 1 per 1h group 30s"])
def test_what_people_keep_quiet_is_no_round_of_a_throttle(clause: str) -> None:
    world = World(f"x | {clause}")
    quiet = world.event(0, x=True)
    world.quiet.add(quiet.id)
    world.decide(quiet)
    assert world.verdict(10, x=True)[0] in ("notify", "grouped")


def test_what_people_keep_quiet_spends_no_throttle_of_what_is_let_go_with_it() -> None:
    world = World('x | during weekdays 11:00-18:00 "UTC" throttle 1 per 1h')
    quiet, heard, late = (world.event(at, x=True) for at in range(3))
    for event in (quiet, heard, late):
        world.decide(event)
    world.quiet.add(quiet.id)
    let_go = [each.verdict for each in world.sweep(HOUR)]
    assert [each and each.kind for each in let_go] == ["notify", "notify", "throttled"]


# during

OFFICE = 'x | during weekdays 09:00-18:00 "Europe/Berlin" otherwise hold'


def test_what_comes_outside_the_time_is_held_until_it_begins() -> None:
    world = World(OFFICE)  # Monday, 11:00 in Berlin
    assert world.verdict(0, x=True) == ("notify", None)
    held = world.event(8 * HOUR, x=True)
    assert [each.verdict for each in world.decide(held)] == [
        Verdict("held", "held until 09:00 Europe/Berlin", world.begin + 22 * HOUR * SECOND)
    ]
    assert world.sweep(22 * HOUR - 1) == []
    (released,) = world.sweep(22 * HOUR)
    assert (released.kind, released.event, released.verdict) == ("held", held.id, Verdict("notify"))
    assert world.sweep(30 * HOUR) == []


def test_a_group_that_waits_for_its_time_is_told_as_its_alerts_are_by_then() -> None:
    world = World(OFFICE + " group 30s by region resolve when ok by host")
    evening = 7 * HOUR
    for region in ("eu", "us"):
        for host in ("a", "b", "b", "c"):
            world.send(evening - 10, x=True, host=region + host, region=region)
    kinds = [each.verdict.kind for each in world.sweep(evening + 20) if each.verdict]
    assert kinds == ["held", "held"]
    world.send(10 * HOUR, ok=True, host="euc", region="eu")
    found = [(each.kind, each.key, each.rounds) for each in world.sweep(22 * HOUR)]
    assert found == [("held", '["eub"]', 3), ("held", '["usc"]', 4)]


def test_what_comes_at_a_weekend_is_held_until_monday() -> None:
    world = World(OFFICE)
    assert world.verdict(5 * 24 * HOUR, x=True) == ("held", "held until Mon 09:00 Europe/Berlin")


def test_what_is_to_be_dropped_is_never_sent() -> None:
    world = World('x | during daily 22:00-06:00 "UTC" otherwise drop')
    assert world.verdict(0, x=True) == ("dropped", 'dropped: outside daily 22:00-06:00 "UTC"')
    assert world.sweep(48 * HOUR) == []
    assert world.verdict(12 * HOUR, x=True) == ("notify", None)


def test_what_was_held_goes_through_throttle_and_group_when_its_time_comes() -> None:
    world = World(OFFICE + " throttle 1 per 1h")
    for at in (9, 10, 11):
        world.send(at * HOUR, x=True)
    kinds = [each.verdict.kind for each in world.sweep(22 * HOUR) if each.verdict]
    assert kinds == ["notify", "throttled", "throttled"]
    world = World(OFFICE + " group 30s")
    for at in (9, 10, 11):
        world.send(at * HOUR, x=True)
    assert [e.verdict.kind for e in world.sweep(22 * HOUR) if e.verdict] == ["grouped"] * 3
    assert [each.rounds for each in world.sweep(22 * HOUR + 30)] == [3]


def test_a_sweep_that_comes_after_the_time_holds_until_the_next() -> None:
    world = World(OFFICE)
    world.send(9 * HOUR, x=True)
    (late,) = world.sweep(32 * HOUR)  # the workers were down all day
    assert late.verdict is not None
    assert late.verdict.kind == "held"
    assert len(world.sweep(46 * HOUR)) == 1


def begins(during: str, moment: str) -> str | None:
    """When the next range begins after a moment; None within one."""
    rule = compile_rule(f"when x{THEN}during {during}")
    (clause,) = rule.tree.clauses
    assert isinstance(clause, tree.During)
    now = int(datetime.fromisoformat(moment).timestamp()) * SECOND
    found = Calendar(clause).begins(now)
    zone = ZoneInfo(str(clause.zone.value))
    return None if found is None else datetime.fromtimestamp(found / SECOND, zone).isoformat()


BERLIN = '"Europe/Berlin"'
TIMES = [
    (f"daily 09:00-18:00 {BERLIN}", "2026-11-23T08:59:59+01:00", "2026-11-23T09:00:00+01:00"),
    (f"daily 09:00-18:00 {BERLIN}", "2026-11-23T09:00:00+01:00", None),
    (f"daily 09:00-18:00 {BERLIN}", "2026-11-23T17:59:59+01:00", None),
    (f"daily 09:00-18:00 {BERLIN}", "2026-11-23T18:00:00+01:00", "2026-11-24T09:00:00+01:00"),
    (f"mon 09:00-18:00 {BERLIN}", "2026-11-23T19:00:00+01:00", "2026-11-30T09:00:00+01:00"),
    (f"weekends 00:00-24:00 {BERLIN}", "2026-11-28T23:59:59+01:00", None),
    (f"weekends 00:00-24:00 {BERLIN}", "2026-11-30T00:00:00+01:00", "2026-12-05T00:00:00+01:00"),
    # Past midnight a range belongs to the day it begins: Friday night is Friday's.
    (f"fri 22:00-06:00 {BERLIN}", "2026-11-28T05:59:59+01:00", None),
    (f"fri 22:00-06:00 {BERLIN}", "2026-11-27T05:00:00+01:00", "2026-11-27T22:00:00+01:00"),
    # The clocks go forward on 29 March 2026 at 02:00 and back on 25 October 2026 at 03:00.
    (f"daily 09:00-18:00 {BERLIN}", "2026-03-28T20:00:00+01:00", "2026-03-29T09:00:00+02:00"),
    (f"daily 09:00-18:00 {BERLIN}", "2026-10-24T20:00:00+02:00", "2026-10-25T09:00:00+01:00"),
    (f"sun 02:30-04:00 {BERLIN}", "2026-03-29T01:00:00+01:00", "2026-03-29T03:30:00+02:00"),
    # What begins after its end that day is not; a range inside the skipped hour is an hour later.
    (f"daily 02:30-03:00 {BERLIN}", "2026-03-29T01:00:00+01:00", "2026-03-30T02:30:00+02:00"),
    (f"daily 02:15-02:45 {BERLIN}", "2026-03-29T01:00:00+01:00", "2026-03-29T03:15:00+02:00"),
    (f"sun 02:30-04:00 {BERLIN}", "2026-10-25T02:30:00+02:00", None),
    (f"sun 02:30-04:00 {BERLIN}", "2026-10-25T02:10:00+01:00", None),
    (f"sat 22:00-02:30 {BERLIN}", "2026-10-25T02:15:00+02:00", None),
    (f"sat 22:00-02:30 {BERLIN}", "2026-10-25T02:15:00+01:00", "2026-10-31T22:00:00+01:00"),
    # A day's range that is left out may be all that there is in a week.
    (f"sun 02:30-03:15 {BERLIN}", "2027-03-22T12:00:00+01:00", "2027-04-04T02:30:00+02:00"),
    (f"sun 02:30-03:15 {BERLIN}", "2027-03-21T03:15:00+01:00", "2027-04-04T02:30:00+02:00"),
    ('daily 00:00-01:00 "Pacific/Apia"', "2026-11-23T12:00:00+13:00", "2026-11-24T00:00:00+13:00"),
]  # fmt: skip


@pytest.mark.parametrize(("during", "moment", "begin"), TIMES)
def test_a_range_begins_by_the_clocks_of_its_zone(
    during: str, moment: str, begin: str | None
) -> None:
    assert begins(during, moment) == begin


# unless


def test_an_open_alert_of_another_rule_inhibits() -> None:
    world = World('x | unless open("db-down") by region')
    world.open = {("db-down", '["eu"]')}
    assert world.verdict(0, x=True, region="us") == ("notify", None)
    told = 'inhibited: "db-down" is open for region = "eu"'
    assert world.verdict(0, x=True, region="eu") == ("inhibited", told)
    event = world.event(0, x=True, region="eu")
    assert world.machine.inhibitor(event) == ("db-down", '["eu"]')


def test_inhibition_goes_by_the_key_of_the_rule_where_it_names_none() -> None:
    world = World('count() over 5m by host >= 1 | unless open("db-down")')
    assert world.machine.inhibitor(world.event(0, host="a")) == ("db-down", '["a"]')
    plain = World('x | unless open("db-down")')
    plain.open = {("db-down", "[]")}
    assert plain.verdict(0, x=True) == ("inhibited", 'inhibited: "db-down" is open')


def test_the_first_of_several_clauses_names_the_reason() -> None:
    world = World(f'x | unless open("db") {OFFICE[4:]} throttle 1 per 48h group 30s')
    world.send(0, x=True)
    world.sweep(30)
    assert world.verdict(60, x=True)[0] == "throttled"
    assert world.verdict(9 * HOUR, x=True)[0] == "held"
    world.open = {("db", "[]")}
    assert world.verdict(9 * HOUR, x=True)[0] == "inhibited"


# resolve


def test_an_event_that_says_so_resolves_the_alert_of_its_key() -> None:
    world = World('count(bad) over 5m by host >= 2 | resolve when status == "ok"')
    world.send(0, bad=True, host="a")
    assert world.send(1, bad=True, host="a").alert == "open"
    assert world.send(2, bad=True, host="a").alert == "count"
    assert world.send(3, host="b", status="ok").alert is None
    assert world.send(400, host="a", status="ok").alert == "resolve"
    assert world.send(401, host="a", status="ok").alert is None
    assert world.send(402, bad=True, host="a").alert is None
    assert world.send(403, bad=True, host="a").alert == "open"


def test_an_event_from_before_the_last_match_resolves_nothing() -> None:
    world = World("bad | resolve when ok by host")
    world.send(10, bad=True, host="a")
    assert world.send(11, late=5, ok=True, host="a").alert is None
    assert world.send(12, ok=True, host="a").alert == "resolve"


def test_the_matches_of_an_alert_that_is_over_keep_no_later_one_open() -> None:
    world = World("bad | resolve when ok by host")
    world.send(100, bad=True, host="a")
    assert world.send(101, ok=True, host="a").alert == "resolve"
    # What happened before comes late, opens another, and is over by what happened after it.
    assert world.send(102, late=50, bad=True, host="a").alert == "open"
    assert world.send(103, late=20, ok=True, host="a").alert == "resolve"


def test_an_alert_never_resolves_because_data_is_missing() -> None:
    world = World('bad | resolve when status == "ok"')
    world.send(0, bad=True)
    assert world.send(1, status=None).alert is None
    assert world.sweep(1_000 * HOUR) == []


def test_an_alert_resolves_some_time_after_its_last_match() -> None:
    world = World("bad | resolve after 1h")
    world.send(0, bad=True)
    world.send(1_800, bad=True)
    assert world.sweep(3_600) == []
    (ended,) = world.sweep(1_800 + 3_600)
    assert (ended.kind, ended.alert, ended.verdict) == ("resolve", "resolve", None)
    assert world.send(6_000, bad=True).alert == "open"


def test_what_is_absent_is_resolved_by_what_comes_back() -> None:
    world = World("absent(beat) for 10m by host | resolve when beat resolve after 2h")
    world.send(0, beat=True, host="a")
    (missed,) = world.sweep(600)
    assert missed.alert == "open"
    assert world.send(700, beat=True, host="a").alert == "resolve"
    assert world.sweep(1_299) == []


def test_a_person_may_close_an_alert() -> None:
    world = World("bad | resolve after 1h")
    world.send(0, bad=True)
    world.states["", "[]"].close()
    assert world.sweep(3_600) == []
    assert world.send(3_700, bad=True).alert == "open"


def test_timers_say_which_other_states_they_touch() -> None:
    world = World("beat for 5m by host | throttle 1 per 10m by region group 30s by rack")
    event = world.event(0, beat=True, host="a", region="eu", rack=7)
    assert world.machine.addresses(event) == (
        ("", '["a"]'), ("throttle", '["eu"]'), ("group", "[7]"),
    )  # fmt: skip
    world.decide(event)
    state = world.states["", '["a"]']
    assert world.machine.companions(state) == (
        ("", '["a"]'), ("group", "[7]"), ("throttle", '["eu"]'),
    )  # fmt: skip
    world.sweep(300)
    group = world.states["group", "[7]"]
    assert group.due == world.begin + 330 * SECOND
    assert ("throttle", '["eu"]') in world.machine.companions(group)


def test_the_states_of_a_rule_are_found_by_the_time_they_wait_for() -> None:
    world = World("x for 5m by u")
    for at, u in ((3, "c"), (1, "a"), (2, "b")):
        world.send(at, x=True, u=u)
    assert isinstance(world.states, MemoryStates)
    due = world.states.due(world.begin + 302 * SECOND)
    assert due == [("", '["a"]'), ("", '["b"]')]
    assert datetime.fromtimestamp(world.begin / SECOND, UTC).hour == 10
