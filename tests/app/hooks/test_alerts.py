"""Which alerts are the same, for those who tell of them without a start."""

from typing import Any

import pytest

from app.hooks import alerts

LABELS = {"alertname": "DiskFull", "instance": "db-1"}
ENDED = "2026-03-01T12:00:00Z"
# As Go writes a time that is none.
ZERO = "0001-01-01T00:00:00.000Z"


def key(status: str, **more: Any) -> str:
    return alerts.heard("prometheus", status, {"labels": LABELS, **more}, {}).key


@pytest.mark.parametrize("start", [{}, {"startsAt": None}, {"startsAt": ZERO}])
def test_an_alert_without_a_start_is_another_one_each_time(start: Any) -> None:
    lease = {"endsAt": ENDED}
    assert key(alerts.FIRING, **start, **lease) != key(alerts.FIRING, **start, **lease)


@pytest.mark.parametrize("start", [{}, {"startsAt": None}, {"startsAt": ZERO}])
def test_an_end_without_a_start_is_known_by_its_time(start: Any) -> None:
    ended = key(alerts.RESOLVED, **start, endsAt=ENDED)
    assert ended == key(alerts.RESOLVED, **start, endsAt=ENDED)
    assert ended != key(alerts.RESOLVED, **start, endsAt="2026-03-01T13:00:00Z")
    assert key(alerts.RESOLVED, **start) != key(alerts.RESOLVED, **start)


def test_with_a_start_neither_the_end_nor_an_annotation_makes_another_one() -> None:
    start = {"startsAt": "2026-03-01T11:59:00Z"}
    noted = {"endsAt": ENDED, "annotations": {"summary": "97 % full"}}
    for status in (alerts.FIRING, alerts.RESOLVED):
        assert key(status, **start) == key(status, **start, **noted)
    assert key(alerts.FIRING, **start) != key(alerts.RESOLVED, **start)


def test_each_alert_of_a_group_has_its_own_state_and_tells_how_many_were_cut_off() -> None:
    states = (alerts.FIRING, alerts.RESOLVED)
    each = [{"status": state, "labels": LABELS | {"n": state}} for state in states]
    group = {"status": "firing", "receiver": "on call", "truncatedAlerts": 7, "alerts": each}
    heard = alerts.of_group("grafana", group)
    assert [one.type for one in heard] == [f"grafana.alert.{state}" for state in states]
    for one, alert in zip(heard, each, strict=True):
        assert one.fields == {**alert, "receiver": "on call", "truncatedAlerts": 7}
        # A message shows the first fields, and the alert's own say most.
        assert list(one.fields)[:2] == list(alert)
