"""Dead letters are tried again by hand, one or many, under their old ids."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.channels.base import Outcome, Verdict
from app.client import Client as ApiClient
from app.config import RetryPolicy, Settings
from app.models.notifications import Status
from app.services.delivery import Sending
from tests.app.client import Client
from tests.app.helpers import (
    begin_attempt,
    end_attempt,
    evaluate,
    make_rule,
    notifications,
    post_event,
)
from tests.conftest import TestClock

REFUSED = Verdict(Outcome.PERMANENT, 400, "HTTP 400")


@pytest.fixture
def dead(client: Client, settings: Settings, clock: TestClock) -> list[UUID]:
    """Four dead letters, a minute apart; the last two went to a webhook."""
    make_rule(client)
    make_rule(client, 'when type == "w" then notify("webhook:https://93.184.216.34/x")', "W")
    ids = []
    for type_ in ("order", "order", "w", "w"):
        [key] = evaluate(clock(), [post_event(client, type=type_)]).notification_ids
        end_attempt(begin_attempt(key, settings, clock), clock, REFUSED, RetryPolicy())
        ids.append(key)
        clock.tick(60)
    return ids


def retry(client: Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/notifications/retry", json=body)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json
    return found


def pending() -> list[UUID]:
    return [row.id for row in notifications() if row.status == Status.PENDING]


def test_all_dead_letters_are_tried_again_in_bounded_batches(
    client: Client, dead: list[UUID]
) -> None:
    assert told(retry(client, status="dead", limit=3)) == (3, True)
    assert pending() == dead[:3]
    assert told(retry(client, status="dead", limit=3)) == (1, False)
    assert pending() == dead
    assert told(retry(client, status="dead")) == (0, False)


def told(answer: dict[str, Any]) -> tuple[int, bool]:
    return answer["retried"], answer["more"]


def test_those_that_die_again_meanwhile_are_not_taken_again_before_the_others(
    client: Client, dead: list[UUID], settings: Settings, clock: TestClock
) -> None:
    asked = []

    class Here(ApiClient):
        """Whose receivers refuse all that is tried again, before the next call."""

        def _call(self, method: str, path: str, body: Any = None, *_: Any, **__: Any) -> Any:
            answer = retry(client, **body)
            for key in pending():
                asked.append(key)
                end_attempt(begin_attempt(key, settings, clock), clock, REFUSED, RetryPolicy())
            clock.tick(1)
            return answer

    assert Here("http://here").retry_notifications({"status": "dead", "limit": 3}) == 4
    assert asked == dead


def test_they_can_be_chosen_by_channel_id_and_time(
    client: Client, dead: list[UUID], clock: TestClock
) -> None:
    assert retry(client, ids=[str(dead[1]), str(uuid4())])["retried"] == 1
    assert pending() == [dead[1]]
    assert retry(client, channel="webhook", until=moment(clock, -60))["retried"] == 1
    assert pending() == dead[1:3]
    assert retry(client, since=moment(clock, -61), status="dead")["retried"] == 1
    assert pending() == dead[1:]


def moment(clock: TestClock, seconds: float) -> str:
    return (clock() + timedelta(seconds=seconds)).isoformat()


def test_they_keep_their_ids_and_get_all_their_attempts_anew(
    client: Client, dead: list[UUID], settings: Settings, clock: TestClock
) -> None:
    retry(client, ids=[str(dead[0])])
    begun = begin_attempt(dead[0], settings, clock)
    assert isinstance(begun, Sending)
    assert (begun.notice.id, begun.tried) == (str(dead[0]), 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"limit": 5},
        {"status": "sent"},
        {"ids": []},
        {"ids": ["x"]},
        {"status": "dead", "limit": 1001},
        {"status": "dead", "colour": 1},
        {"since": "yesterday"},
    ],
)
def test_a_choice_that_says_nothing_or_nonsense_is_refused(
    client: Client, dead: list[UUID], body: dict[str, Any]
) -> None:
    assert client.post("/notifications/retry", json=body).status_code == 422
    assert pending() == []
