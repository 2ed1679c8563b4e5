"""The providers' own libraries accept what is signed as here, and what they sign is accepted here."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import stripe
from gidgethub import ValidationFailure
from gidgethub.sansio import Event

from app.config import Settings
from app.hooks import examples
from tests.app.client import Client
from tests.conftest import TestClock

SECRET = "whsec_12345"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, hook_secrets=(f"stripe={SECRET}",))


def test_stripes_own_library_accepts_what_we_sign_and_signs_what_we_accept(
    client: Client, clock: TestClock
) -> None:
    # The library has a clock of its own.
    clock.now = datetime.now(UTC)
    example = examples.make("stripe.charge.failed", clock())
    headers = example.signed(SECRET)
    event = stripe.Webhook.construct_event(
        example.delivery.body, headers["Stripe-Signature"], SECRET
    )
    assert (event.type, event.data.object.amount) == ("charge.failed", 2000)
    text, at = example.delivery.body.decode(), int(clock().timestamp())
    signature = stripe.WebhookSignature.generate_signature_header(text, SECRET, at)
    answer = client.post(
        "/hooks/stripe", data=text, headers={**headers, "Stripe-Signature": signature}
    )
    assert answer.status_code == 202, answer.text
    assert answer.json["accepted"] == 1


@pytest.mark.parametrize("type_", [each for each in examples.types() if each[:7] == "github."])
def test_gidgethub_accepts_what_is_signed_as_github_does(clock: TestClock, type_: str) -> None:
    example = examples.make(type_, clock())
    headers = {name.lower(): value for name, value in example.signed(SECRET).items()}
    event = Event.from_http(headers, example.delivery.body, secret=SECRET)
    [heard] = example.heard()
    assert (event.data, event.delivery_id) == (heard.fields, heard.key)
    assert type_.startswith(f"github.{event.event}")
    with pytest.raises(ValidationFailure):
        Event.from_http(headers, example.delivery.body + b" ", secret=SECRET)
