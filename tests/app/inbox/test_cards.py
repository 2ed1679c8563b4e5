"""Messages as cards: attempts are counted, and odd bodies shown."""

from datetime import UTC, datetime, timedelta

import pytest

from app.inbox.cards import cards_of
from app.models.inbox import InboxMessage

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def message(number: int, seconds: float, **values: object) -> InboxMessage:
    defaults: dict[str, object] = {
        "id": number,
        "received_at": NOW + timedelta(seconds=seconds),
        "source": "webhook",
        "path": "/hook/erp",
        "headers": {"Webhook-Id": "m1"},
        "body": "{}",
        "answered": 200,
    }
    return InboxMessage(**(defaults | values))


def test_repeats_of_one_webhook_id_are_numbered_with_the_time_between() -> None:
    first, other = message(1, 0), message(2, 1, headers={"webhook-id": "m2"})
    second, third = message(3, 5.04), message(4, 130)
    cards = cards_of([third, second, other, first])
    assert [(card.id, card.attempt, card.gap) for card in cards] == [
        (4, 3, "2 min 5 s later"),
        (3, 2, "5.0 s later"),
        (2, 1, ""),
        (1, 1, ""),
    ]


def test_a_slack_message_that_comes_again_is_known_by_its_body() -> None:
    body = '{"channel": "#ops", "text": "hi"}'
    slack = [message(n, n, source="slack", headers={}, body=body) for n in (2, 1)]
    cards = cards_of(slack)
    assert [card.attempt for card in cards] == [2, 1]
    assert cards[0].place == "#ops"


@pytest.mark.parametrize(
    "body", ["", "not json", "[]", "5", '{"data": [], "type": {}}', "[" * 5000]
)
@pytest.mark.parametrize("source", ["slack", "webhook"])
def test_a_body_of_any_shape_becomes_a_card(source: str, body: str) -> None:
    (card,) = cards_of([message(1, 0, source=source, body=body)])
    assert card.title == "Webhook"


def test_a_webhook_shows_its_rule_its_message_and_its_signature() -> None:
    body = '{"type":"alert.opened","data":{"rule":{"name":"Big"},"message":"900"}}'
    headers = {"Webhook-Id": "m", "Webhook-Signature": "v1,x", "Accept": "*/*"}
    (card,) = cards_of([message(1, 0, body=body, headers=headers)])
    assert (card.title, card.kind, card.message) == ("Big", "alert.opened", "900")
    assert card.signature == [("webhook-id", "m"), ("webhook-signature", "v1,x")]
    assert '"name": "Big"' in card.body
