"""Alerts of other rules, as a backtest sees them."""

from datetime import timedelta

from app.extensions import session
from app.services.backtesting.opened import Opened
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
