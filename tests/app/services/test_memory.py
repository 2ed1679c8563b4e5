"""Rules with memory decide over PostgreSQL, in the order in which their states were held."""

from sqlalchemy import select

from app.extensions import session
from app.models.alerts import Alert, Suppression
from app.models.memory import EventDecisions, RuleState
from app.services import decisions
from tests.app.client import Client
from tests.app.helpers import evaluate, make_rule, notifications, post_event
from tests.conftest import TestClock

LOGINS = 'when count(type == "login_failed") over 5m by user >= 3 then notify("slack:#sec")'


def test_a_window_counts_over_batches_by_key(client: Client, clock: TestClock) -> None:
    make_rule(client, LOGINS)
    for user in ("ada", "bob", "ada"):
        post_event(client, type="login_failed", user=user)
        evaluate(clock.tick(1))
    assert notifications() == []
    post_event(client, type="login_failed", user="ada")
    assert evaluate(clock.tick(1)).triggered == ["Orders"]
    assert [one.target for one in notifications()] == ["slack:#sec"]
    alert = session().scalars(select(Alert)).one()
    assert (alert.key, alert.count) == ('["ada"]', 1)
