"""Each row of the language's table of memory, in real time, through two workers.

All rules are made first. Then each row's events go their way at the same time as those of the others, since
most of what a row does is to wait.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from celery import Celery

from app.broker import broker_of
from app.cli.local.services import CORE
from tests.acceptance.rows import Row
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance
# Past its time, on a machine that is busy with all the others; in quiet it is within 2 s.
LATE = 8.0
# What must come before a time is over has 5 s for it, on a slow machine too; windows go by the times in their events.
RULES = {
    "count": "when TYPE and count() over 3s by user >= 4 NOTIFY",
    "share": "when TYPE and count(status >= 500) over 3s by app / count() over 3s by app > 50% NOTIFY",
    "sum": 'when TYPE and sum(x where ok == true) over 3s by user > 10 NOTIFY message "{{ x }} more"',
    "avg": "when TYPE and avg(x) over 3s by user > 10 NOTIFY",
    "min": "when TYPE and min(x) over 3s by user < max(x) over 3s by user - 10 NOTIFY",
    "distinct": "when TYPE and distinct(country) over 3s by card >= 3 NOTIFY",
    "offset": "when TYPE and count() over 2s by user > 1 + count() over 2s offset 1h by user NOTIFY",
    "change": "when TYPE and change(price) over 3s by sku < -20% NOTIFY",
    "absent": "when absent(TYPE) for 6s NOTIFY",
    "expect": 'when absent(TYPE) for 3s by host expect ["declared"] NOTIFY',
    "seq": "when seq(a: TYPE and ok == false x2 -> b: TYPE and ok == true and b.ip != a.ip) within 3s by user NOTIFY",
    "seqnot": "when seq(a: TYPE and paid == true -> not (TYPE and shipped == true)) within 5s by order NOTIFY",
    "for": "when TYPE and temp > 90 for 5s by host NOTIFY",
    "throttle": "when TYPE NOTIFY throttle 2 per 1h by user",
    "group": "when TYPE NOTIFY group 5s by region",
    "hold": 'when TYPE NOTIFY during daily SOON "UTC" otherwise hold',
    "drop": 'when TYPE NOTIFY during daily LATER "UTC" otherwise drop',
    "unless": 'when TYPE and part == "child" NOTIFY unless open("parent") by region',
    "resolvewhen": 'when TYPE and status == "down" NOTIFY resolve when TYPE and status == "ok" by host',
    "resolveafter": "when TYPE NOTIFY resolve after 5s",
}  # fmt: skip
PARENT = 'when TYPE and part == "parent" NOTIFY resolve when TYPE and part == "over" by region'


def hours(begin: datetime) -> str:
    return f"{begin:%H:%M}-{begin + timedelta(hours=1):%H:%M}"


def opens(row: Row) -> datetime:
    """The first minute that begins long enough after the row's own beginning for its event to be too early."""
    return (row.began + timedelta(seconds=78)).replace(second=0, microsecond=0)


def count(row: Row) -> None:
    """Four at once: whoever decides last sees all of them."""
    for user in ("ada", "ada", "bob", "ada", "ada"):
        row.post(4, user=user)
    row.wait(lambda: row.alerts() == [('["ada"]', "open", 1)])
    [told] = row.told(1)
    assert told["data"]["message"] == 'count: 4 of 4 within 3s for user = "ada"'
    # The window has moved on.
    later = row.send(0, user="ada")
    assert '1 of 4 within 3s for user = "ada"' in row.explained(later)


def share(row: Row) -> None:
    row.send(0, app="a", status=200)
    half = row.send(0, app="a", status=500)
    assert "count() was 2 within 3s" in row.explained(half)
    row.send(0, app="a", status=503)
    row.told(1)
    assert row.alerts() == [('["a"]', "open", 1)]


def summed(row: Row) -> None:
    for x, ok in ((6, True), (50, False)):
        row.send(0, user=1, x=x, ok=ok)
    row.send(10, user=2, x=6, ok=True)
    row.send(0, user=2, x=6, ok=True)
    last = row.send(0, user=1, x=5, ok=True)
    assert "was 11 within 3s for user = 1" in row.explained(last)
    assert row.told(1)[0]["data"]["message"] == "5 more"
    assert row.alerts() == [("[1]", "open", 1)]


def average(row: Row) -> None:
    row.send(0, user=1, x=10)
    true = row.send(0, user=1, x=11)
    quiet = row.send(0, user=1, x=3)
    assert "was 10.5 within 3s" in row.explained(true)
    assert "avg(x) was 8 within 3s" in row.explained(quiet)
    row.told(1)


def extremes(row: Row) -> None:
    row.send(4, user=1, x=1)
    row.send(0, user=1, x=15)
    true = row.send(0, user=1, x=2)
    assert "min(x) was 2 within 3s, max(x) was 15 within 3s" in row.explained(true)
    row.told(1)


def distinct(row: Row) -> None:
    for country in ("de", "us", "de"):
        row.send(0, card="c", country=country)
    true = row.send(0, card="c", country="sg")
    assert '3 of 3 within 3s for card = "c"' in row.explained(true)
    row.told(1)


def offset(row: Row) -> None:
    row.send(3600, user="before")
    for user in ("before", "now", "before"):
        as_before = row.send(0, user=user)
    assert "count() was 1 within 2s, 1h earlier" in row.explained(as_before)
    row.send(0, user="now")
    row.told(1)
    row.send(0, user="before")
    row.told(2)
    assert row.alerts() == [('["before"]', "open", 1), ('["now"]', "open", 1)]


def change(row: Row) -> None:
    for sku, price in (("gpu", 100), ("cpu", 100), ("cpu", 85)):
        row.send(0, sku=sku, price=price)
    true = row.send(0, sku="gpu", price=75)
    assert 'was -0.25 within 3s for sku = "gpu"' in row.explained(true)
    row.told(1)


def absent(row: Row) -> None:
    begun = time.time()
    seen = row.send()
    row.wait(lambda: [one["kind"] for one in row.decisions(seen)] == ["event", "absent"])
    [told] = row.told(1)
    assert 6 <= row.heard()[0].at - begun <= 6 + LATE
    assert told["data"]["event"]["id"] == seen
    assert "nothing since" in told["data"]["message"]
    assert row.alerts() == [("", "open", 1)]


def expect(row: Row) -> None:
    row.send(host="seen")
    row.wait(lambda: len(row.alerts()) == 2)
    assert row.alerts() == [('["declared"]', "open", 1), ('["seen"]', "open", 1)]
    messages = sorted(one["data"]["message"] for one in row.told(2))
    assert ["declared" in messages[0], "seen" in messages[1]] == [True, True]


def sequence(row: Row) -> None:
    for user, ip in ((1, "far"), (2, "near")):
        for ok in (False, False):
            row.send(2, user=user, ip="near", ok=ok)
        row.send(1, user=user, ip=ip, ok=True)
    late = [row.send(ago, user=3, ip="x" * ago, ok=ago == 1) for ago in (6, 5, 1)]
    assert row.decisions(late[2])[0]["outcome"] is False
    assert row.told(1)[0]["data"]["message"] == "seq: a 2 of 2, b 1 of 1 within 3s for user = 1"


def without_sequel(row: Row) -> None:
    row.send(order=1, paid=True)
    row.send(order=2, paid=True)
    row.send(order=1, shipped=True)
    [told] = row.told(1)
    assert "nothing more since" in told["data"]["message"]
    assert row.alerts() == [("[2]", "open", 1)]


def lasting(row: Row) -> None:
    row.send(host="cooled", temp=95)
    row.send(host="cooled", temp=20)
    hot = row.send(host="hot", temp=91)
    [told] = row.told(1)
    assert told["data"]["event"]["id"] == hot
    assert "for 5s of 5s" in told["data"]["message"]
    assert row.alerts() == [('["hot"]', "open", 1)]


def throttle(row: Row) -> None:
    ids = [row.send(user=1) for _ in range(4)]
    row.send(user=2)
    row.told(3)
    assert [kind for kind, _ in row.held()] == ["throttled"] * 2
    [made] = row.decisions(ids[3])
    assert (made["verdict"], made["held"][:20]) == ("throttled", "throttled: 2 of 2 si")
    assert row.alerts() == [("", "open", 5)]


def group(row: Row) -> None:
    for region in ("eu", "us", "eu", "eu"):
        row.post(region=region)
    told = [one["data"]["message"] for one in row.told(2)]
    assert sorted(one.startswith("3 matches, the last: ") for one in told) == [False, True]
    assert [kind for kind, _ in row.held()] == ["grouped"] * 4


def hold(row: Row) -> None:
    row.send()
    assert row.held() == [("held", f"held until {opens(row):%H:%M} UTC")]
    assert row.heard() == []
    row.told(1, 100)
    assert 0 <= row.heard()[0].at - opens(row).timestamp() <= LATE
    row.send()
    row.told(2)


def drop(row: Row) -> None:
    event_id = row.send()
    [(kind, reason)] = row.held()
    assert (kind, reason.partition(" ")[0]) == ("dropped", "dropped:")
    assert row.decisions(event_id)[0]["verdict"] == "dropped"
    assert row.alerts() == [("", "open", 1)]
    row.told(0)


def unless(row: Row) -> None:
    row.send(part="parent", region="eu")
    row.send(part="child", region="eu")
    row.send(part="child", region="us")
    row.told(2)
    assert row.held() == [("inhibited", 'inhibited: "parent" is open for region = "eu"')]
    row.send(part="over", region="eu")
    row.send(part="child", region="eu")
    row.told(4)


def resolve_when(row: Row) -> None:
    for status in ("down", "down", "ok"):
        row.send(host="a", status=status)
    row.send(host="b", status="down")
    row.wait(lambda: row.alerts() == [('["a"]', "resolved", 2), ('["b"]', "open", 1)])
    types = sorted(one["type"] for one in row.told(4))
    assert types == ["alert.opened"] * 3 + ["alert.resolved"]


def resolve_after(row: Row) -> None:
    row.post()
    row.post()
    row.wait(lambda: row.alerts() == [("", "resolved", 2)])
    assert [one["type"] for one in row.told(3)].count("alert.resolved") == 1


SCRIPTS: dict[str, Callable[[Row], None]] = {
    "count": count, "share": share, "sum": summed, "avg": average, "min": extremes,
    "distinct": distinct, "offset": offset, "change": change, "absent": absent, "expect": expect,
    "seq": sequence, "seqnot": without_sequel, "for": lasting, "throttle": throttle,
    "group": group, "hold": hold, "drop": drop, "unless": unless, "resolvewhen": resolve_when,
    "resolveafter": resolve_after,
}  # fmt: skip


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(start=(*CORE, "events-2")) as running:
        yield running


@pytest.fixture(scope="module")
def rows(stack: Stack) -> dict[str, Row]:
    """All rows, with their rules; what awaits silence begins with its rule."""
    made = {name: Row(stack, name) for name in RULES}
    made["unless"].rule(PARENT, "parent")
    for name, row in made.items():
        soon, later = hours(opens(row)), hours(opens(row) + timedelta(hours=2))
        row.rule(RULES[name].replace("SOON", soon).replace("LATER", later))
    return made


@pytest.fixture(scope="module")
def outcomes(rows: dict[str, Row]) -> Iterator[dict[str, Future[None]]]:
    """What each row will have come to, all of them at once."""
    with ThreadPoolExecutor(len(rows)) as pool:
        yield {name: pool.submit(SCRIPTS[name], row) for name, row in rows.items()}


@pytest.mark.parametrize("name", RULES)
def test_each_row_of_the_table_holds_in_real_time(
    name: str, outcomes: dict[str, Future[None]]
) -> None:
    outcomes[name].result(120)


def test_nothing_was_told_twice_and_both_workers_took_part(
    stack: Stack, rows: dict[str, Row], outcomes: dict[str, Future[None]]
) -> None:
    assert all(row.done() for row in outcomes.values())
    assert [name for name, row in rows.items() if len(row.heard()) != row.expected] == []
    ids = [one.headers["webhook-id"] for one in stack.receiver.heard]
    assert len(ids) == len(set(ids))
    assert stack.sql("SELECT count(*) FROM notifications") == [(len(ids),)]
    celery = Celery(broker=broker_of(stack.env["REDIS_URL"]).url, config_source="celeryconfig")
    workers = celery.control.inspect(timeout=5).stats() or {}
    assert len(workers) == 3
    assert all(worker["total"] for worker in workers.values()), workers
