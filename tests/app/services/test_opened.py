"""Alerts of other rules, as a backtest sees them."""

from datetime import timedelta

from app.extensions import session
from app.services.backtesting.opened import Opened
from app.services.backtesting.tally import SECOND
from app.services.machines import machine_key, microseconds
from tests.app.client import Client
from tests.app.helpers import evaluate, make_rule, post_event
from tests.conftest import TestClock


def is_open(clock: TestClock) -> bool:
    opened = Opened(session(), {"Orders"}, clock() - timedelta(hours=1))
    return opened.is_open("Orders", machine_key(""), microseconds(clock()))


def test_an_alert_holds_others_back_unless_only_shadow_has_opened_it(
    client: Client, clock: TestClock
) -> None:
    rule = make_rule(client, mode="shadow")
    post_event(client)
    evaluate(clock())
    assert not is_open(clock)
    assert client.post(f"/rules/{rule}/promote").status_code == 200
    clock.tick(1)
    post_event(client)
    evaluate(clock())
    assert is_open(clock)


def test_the_alert_of_a_rule_holds_nobody_back_while_the_rule_is_off(
    client: Client, clock: TestClock
) -> None:
    rule = make_rule(client)
    post_event(client)
    evaluate(clock())
    before = microseconds(clock.tick(1))
    for enabled in False, True:
        clock.tick(60)
        assert client.patch(f"/rules/{rule}", json={"enabled": enabled}).status_code == 200
    opened = Opened(session(), {"Orders"}, clock() - timedelta(hours=1))
    on = [opened.is_open("Orders", machine_key(""), before + at * SECOND) for at in (0, 61, 121)]
    assert on == [True, False, True]
