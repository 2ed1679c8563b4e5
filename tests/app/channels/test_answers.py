"""What each status means, as a table."""

from datetime import UTC, datetime

import pytest

from app.channels.answers import judge, patient
from app.channels.base import Outcome
from app.channels.transport import Reply

NOW = datetime(2026, 1, 2, 3, 4, 0, tzinfo=UTC)
DELIVERED, TRANSIENT, PERMANENT = Outcome.DELIVERED, Outcome.TRANSIENT, Outcome.PERMANENT


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        ((200, 201, 202, 204, 299), DELIVERED),
        ((300, 301, 302, 303, 304, 307, 308), PERMANENT),
        ((400, 401, 403, 404, 405, 409, 410, 413, 422, 451), PERMANENT),
        ((408, 425, 429, 500, 501, 502, 503, 504, 599, 999), TRANSIENT),
        ((101,), PERMANENT),
    ],
)
def test_a_status_alone_decides(statuses: tuple[int, ...], outcome: Outcome) -> None:
    assert {judge(Reply(status)).outcome for status in statuses} == {outcome}


def test_only_410_disables_the_channel() -> None:
    disabling = [status for status in range(200, 600) if judge(Reply(status)).disable_channel]
    assert disabling == [410]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("1.5", 1.5),
        ("1e9", 86_400.0),
        ("inf", 86_400.0),
        ("99999999999999999999", 86_400.0),
        ("Fri, 02 Jan 2026 03:05:00 GMT", 60.0),
        ("Fri, 02 Jan 2026 03:05:00 -0000", 60.0),
        ("Fri, 02 Jan 2026 03:00:00 GMT", 0.0),
        ("Fri, 02 Jan 2099 03:00:00 GMT", 86_400.0),
        ("", None),
        ("nan", None),
        ("soon", None),
        ("Fri, 99 Jan 2026 03:00:00 GMT", None),
        ("Fri, 02 Jan 2026 03:05:00 +999999999999", None),
        ("999999999999 Jan 2026 03:05:00 GMT", None),
    ],
)
def test_retry_after_is_honoured_up_to_a_day(value: str, seconds: float | None) -> None:
    assert judge(Reply(429, {"retry-after": value}), NOW).retry_after == seconds


def test_retry_after_means_nothing_where_nothing_is_tried_again() -> None:
    assert judge(Reply(404, {"retry-after": "7"})).retry_after is None
    assert judge(Reply(200, {"retry-after": "7"})).retry_after is None


@pytest.mark.parametrize(
    ("seconds", "asked"),
    [
        (7, 7.0),
        (10**400, 86_400.0),
        (-1, None),
        (float("nan"), None),
        (float("inf"), None),
        (True, None),
    ],
)
def test_a_body_may_ask_for_any_number_of_seconds(seconds: object, asked: float | None) -> None:
    assert patient(judge(Reply(429)), seconds).retry_after == asked


def test_no_answer_keeps_the_trouble() -> None:
    verdict = judge(Reply(trouble="timed out", latency=15.0))
    assert (verdict.outcome, verdict.status, verdict.detail) == (TRANSIENT, None, "timed out")
    assert verdict.latency == 15.0
