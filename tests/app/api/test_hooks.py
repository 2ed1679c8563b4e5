"""Webhooks of other services, with the payloads that they publish, signed as they sign."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from standardwebhooks import Webhook as StandardWebhook
from svix import Webhook as SvixWebhook

from app.config import Settings
from app.environment import ConfigError
from app.extensions import session
from app.factory import create_app
from app.hooks import examples, registry
from app.hooks.base import Delivery
from app.models.events import Event, PendingEvent
from app.runtime import EXTENSION, runtime
from app.services import keys
from tests.app.client import Answer, Client
from tests.app.helpers import evaluate, notifications
from tests.conftest import TestClock

SECRET = "It's a Secret to Everybody"
NEXT = "Next year's secret"
STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
JSON = {"Content-Type": "application/json"}
SECRETS = tuple(f"{name}={SECRET}" for name in registry.names())
Headers = dict[str, str]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """A hook's signature is its credential, so that no key is needed."""
    return replace(
        settings, auth="keys", hook_secrets=(*SECRETS, f"github={NEXT}", f"generic={STANDARD}")
    )


def signature(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def of_github(delivery: Delivery, secret: str) -> Headers:
    return {"X-Hub-Signature-256": f"sha256={signature(secret, delivery.body)}"}


def of_stripe(delivery: Delivery, secret: str) -> Headers:
    at = int(delivery.at.timestamp())
    signed = f"{at}.{delivery.body.decode()}".encode()
    return {"Stripe-Signature": f"t={at},v1={'0' * 64},v1={signature(secret, signed)},v0=abc"}


def of_sentry(delivery: Delivery, secret: str) -> Headers:
    return {"Sentry-Hook-Signature": signature(secret, delivery.body)}


def of_grafana(delivery: Delivery, secret: str) -> Headers:
    return {"X-Grafana-Alerting-Signature": signature(secret, delivery.body)}


def of_grafana_with_a_time(delivery: Delivery, secret: str) -> Headers:
    at = str(int(delivery.at.timestamp()))
    signed = f"{at}:{delivery.body.decode()}".encode()
    headers = {"X-Grafana-Alerting-Signature": signature(secret, signed)}
    return headers | {"X-Grafana-Alerting-Timestamp": at}


def of_a_shell(delivery: Delivery, secret: str) -> Headers:
    at = str(int(delivery.at.timestamp()))
    signed = f"{at}.{delivery.body.decode()}".encode()
    return {
        "X-Sentinel-Timestamp": at,
        "X-Sentinel-Signature": f"sha256={signature(secret, signed)}",
    }


def of_alertmanager(_: Delivery, secret: str) -> Headers:
    return {"Authorization": f"Bearer {secret}"}


def of_alertmanager_with_a_password(_: Delivery, secret: str) -> Headers:
    return {"Authorization": f"Basic {base64.b64encode(f'any:{secret}'.encode()).decode()}"}


Signer = Callable[[Delivery, str], Headers]
SIGNERS: list[tuple[str, Signer]] = [
    ("github.push", of_github),
    ("github.pull_request.opened", of_github),
    ("github.issues.opened", of_github),
    ("stripe.charge.failed", of_stripe),
    ("sentry.issue.created", of_sentry),
    ("grafana.alert.firing", of_grafana),
    ("grafana.alert.firing", of_grafana_with_a_time),
    ("generic.contact.created", of_a_shell),
    ("alertmanager.alert.firing", of_alertmanager),
    ("alertmanager.alert.firing", of_alertmanager_with_a_password),
]
each = pytest.mark.parametrize(("type_", "sign"), SIGNERS)


def send(client: Client, type_: str, headers: Headers, delivery: Delivery) -> Answer:
    path = f"/hooks/{type_.partition('.')[0]}"
    return client.post(path, data=delivery.body, headers=dict(delivery.headers) | headers)


def stored() -> list[Event]:
    session().rollback()
    return list(session().scalars(select(Event).order_by(Event.id)))


def problem(answer: Answer, status: int) -> dict[str, Any]:
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert stored() == []
    return dict(answer.json["errors"][0]) if answer.json["errors"] else {}


def test_every_example_is_among_those_that_are_sent_here() -> None:
    assert {type_ for type_, _ in SIGNERS} == set(examples.types())


@each
def test_what_a_service_publishes_becomes_events_with_its_own_fields(
    client: Client, clock: TestClock, type_: str, sign: Signer
) -> None:
    delivery = examples.make(type_, clock()).delivery
    answer = send(client, type_, sign(delivery, SECRET), delivery)
    assert answer.status_code == 202, answer.text
    payload = json.loads(delivery.body)
    expected = payload.get("alerts", [payload])
    events = stored()
    assert answer.json == {
        "accepted": len(expected),
        "duplicates": 0,
        "ids": [str(event.id) for event in events],
    }
    for event, fields in zip(events, expected, strict=True):
        assert (event.type, event.source) == (type_, type_.partition(".")[0])
        assert event.body["type"] == type_
        assert event.occurred_at == clock()
        assert {**event.body, **fields, "type": type_} == event.body
    waiting = session().scalars(select(PendingEvent.event_id).order_by(PendingEvent.event_id))
    assert list(waiting) == [event.id for event in events]


@each
def test_a_delivery_that_comes_again_is_stored_once(
    client: Client, clock: TestClock, type_: str, sign: Signer
) -> None:
    delivery = examples.make(type_, clock()).delivery
    first = send(client, type_, sign(delivery, SECRET), delivery).json
    clock.tick(60)
    again = send(client, type_, sign(delivery, SECRET), delivery).json
    assert again == first | {"duplicates": first["accepted"]}
    assert len(stored()) == first["accepted"]
    assert send(client, type_, {}, examples.make(type_, clock()).delivery).status_code == 403
    other = examples.make(type_, clock()).delivery
    assert send(client, type_, sign(other, SECRET), other).json["duplicates"] == 0


@each
def test_what_another_secret_signed_is_refused(
    client: Client, clock: TestClock, type_: str, sign: Signer
) -> None:
    delivery = examples.make(type_, clock()).delivery
    answer = send(client, type_, sign(delivery, "guess"), delivery)
    assert problem(answer, 403)["code"] == "bad_signature"
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    ("library", "name"),
    [(StandardWebhook, "webhook"), (SvixWebhook, "webhook"), (SvixWebhook, "svix")],
)
def test_what_the_libraries_of_standard_webhooks_sign_is_accepted(
    client: Client, clock: TestClock, library: Any, name: str
) -> None:
    delivery = examples.make("generic.contact.created", clock()).delivery
    signed = library(STANDARD).sign("msg_1", clock(), delivery.body.decode())
    headers = {
        f"{name}-id": "msg_1",
        f"{name}-timestamp": str(int(clock().timestamp())),
        f"{name}-signature": f"v1a,other v1,{'A' * 43}= {signed}",
    }
    first = send(client, "generic", headers, delivery)
    assert first.status_code == 202, first.text
    assert send(client, "generic", headers, delivery).json["duplicates"] == 1
    assert [event.type for event in stored()] == ["generic.contact.created"]
    assert send(client, "generic", headers | {f"{name}-id": "msg_2"}, delivery).status_code == 403


def test_the_signature_that_github_documents_is_right(client: Client) -> None:
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = JSON | {"X-Hub-Signature-256": f"sha256={digest}"}
    answer = client.post("/hooks/github", data=b"Hello, World!", headers=headers)
    assert problem(answer, 400)["code"] == "bad_json"


@pytest.mark.parametrize(
    ("type_", "sign"),
    [
        ("stripe.charge.failed", of_stripe),
        ("grafana.alert.firing", of_grafana_with_a_time),
        ("generic.contact.created", of_a_shell),
    ],
)
@pytest.mark.parametrize("seconds", [-301, 301])
def test_a_signed_time_that_is_far_from_ours_is_refused(
    client: Client, clock: TestClock, type_: str, sign: Signer, seconds: int
) -> None:
    delivery = examples.make(type_, clock()).delivery
    headers = sign(delivery, SECRET)
    clock.tick(-seconds)
    assert "5 minutes" in problem(send(client, type_, headers, delivery), 403)["detail"]


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "9" * 13, "9" * 5000, "١٢"])
def test_a_timestamp_that_is_none_is_refused(
    client: Client, clock: TestClock, timestamp: str
) -> None:
    delivery = examples.make("stripe.charge.failed", clock()).delivery
    headers = {"Stripe-Signature": f"t={timestamp},v1={'0' * 64}".encode().decode("latin-1")}
    problem(send(client, "stripe", headers, delivery), 403)


def test_a_source_without_a_secret_says_what_to_set(
    app: Flask, client: Client, clock: TestClock
) -> None:
    app.extensions[EXTENSION] = replace(runtime(), hook_secrets={"github": (SECRET,)})
    delivery = examples.make("sentry.issue.created", clock()).delivery
    said = problem(send(client, "sentry", of_sentry(delivery, ""), delivery), 403)
    assert said["code"] == "no_secret"
    assert "set SENTINEL_HOOK_SECRETS to sentry=" in said["detail"]


def test_there_is_no_source_that_nobody_wrote(client: Client) -> None:
    assert "github" in problem(client.post("/hooks/gitlab", json={}), 404)["detail"]


@pytest.mark.parametrize(("secret", "status"), [(SECRET, 202), (NEXT, 202), ("older", 403)])
def test_each_of_two_secrets_is_valid_while_one_replaces_the_other(
    client: Client, clock: TestClock, secret: str, status: int
) -> None:
    delivery = examples.make("github.push", clock()).delivery
    assert send(client, "github", of_github(delivery, secret), delivery).status_code == status


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("github", "item 1 is no source=secret"),
        ("github=", "item 1 is no source=secret"),
        ("github=x,gitlab=hush", "item 2 is no source=secret"),
        ("generic=whsec_hush!", "item 1, of generic: what follows whsec_ must be base64"),
    ],
)
def test_secrets_that_make_no_sense_stop_the_boot_and_stay_secret(
    settings: Settings, given: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        create_app(replace(settings, hook_secrets=tuple(given.split(","))))
    assert caught.value.variable == "SENTINEL_HOOK_SECRETS"
    assert "hush" not in str(caught.value)


SIGNED_BUT: dict[str, tuple[str, bytes, Headers, int]] = {
    "no JSON": ("github", b"payload=%7B%7D", {}, 400),
    "a form": ("github", b"{}", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "no object": ("github", b"[]", {}, 422),
    "no event": ("github", b"{}", {}, 422),
    "a type that is too long": ("github", b"{}", {"X-GitHub-Event": "x" * 200}, 422),
    "no resource": ("sentry", b'{"action": "created"}', {}, 422),
    "no action": ("sentry", b"{}", {"Sentry-Hook-Resource": "issue"}, 422),
    "no alerts": ("grafana", b"{}", {}, 422),
    "an alert that is none": ("grafana", b'{"alerts": [1]}', {}, 422),
    "an alert in no state": ("grafana", b'{"alerts": [{"labels": {"a": "b"}}]}', {}, 422),
    "an alert without labels": ("grafana", b'{"alerts": [{"status": "firing"}]}', {}, 422),
    "a body that is too large": ("github", b" " * (256 * 1024 + 1), {}, 413),
    "an alert that is too large": (
        "grafana",
        b'{"alerts": [{"status": "firing", "labels": {"a": "%s"}}]}' % (b"x" * 256 * 1024),
        {},
        413,
    ),
}


@pytest.mark.parametrize("what", SIGNED_BUT)
def test_a_signed_delivery_must_be_what_its_source_sends(
    client: Client, clock: TestClock, what: str
) -> None:
    source, body, headers, status = SIGNED_BUT[what]
    delivery = Delivery(JSON | headers, body, clock())
    sign = {"github": of_github, "sentry": of_sentry, "grafana": of_grafana}[source]
    problem(send(client, source, sign(delivery, SECRET), delivery), status)


def test_a_thousand_alerts_in_one_delivery_are_a_thousand_events(
    client: Client, clock: TestClock
) -> None:
    alerts = [
        {"status": "firing", "labels": {"n": str(number)}, "values": {"B": [1] * 20}}
        for number in range(1000)
    ]
    delivery = Delivery(JSON, json.dumps({"alerts": alerts}).encode(), clock())
    answer = send(client, "grafana", of_grafana(delivery, SECRET), delivery)
    assert (answer.status_code, answer.json["accepted"]) == (202, 1000)
    assert [event.body["labels"]["n"] for event in stored()] == [str(n) for n in range(1000)]


def test_alerts_that_are_too_large_take_none_of_their_group_with_them(
    client: Client, clock: TestClock
) -> None:
    """Alertmanager sends nothing again that was refused."""
    firing = {"status": "firing", "startsAt": "2026-03-01T11:59:00Z", "annotations": {}}
    alerts = [{**firing, "labels": {"n": str(number)}} for number in range(4)]
    for one in (1, 3):
        alerts[one]["annotations"] = {"log": "x" * 260 * 1024}
    delivery = Delivery(JSON, json.dumps({"alerts": alerts}).encode(), clock())
    for _ in range(2):
        answer = send(client, "alertmanager", of_alertmanager(delivery, SECRET), delivery)
        [told] = answer.json["errors"]
        assert (answer.status_code, told["detail"]) == (
            413,
            "2 of its 4 events cannot be stored, the others are: an event is larger than 262144 bytes",
        )
        assert [event.body["labels"]["n"] for event in stored()] == ["0", "2"]


def test_an_alert_that_ends_is_another_event_of_the_time_of_its_end(
    client: Client, clock: TestClock
) -> None:
    begun = clock()
    for status, ends in (("firing", "0001-01-01T00:00:00Z"), ("resolved", "")):
        alert = {"status": status, "labels": {"alertname": "Disk"}, "startsAt": begun.isoformat()}
        alert["endsAt"] = ends or clock.tick(90).isoformat()
        delivery = Delivery(JSON, json.dumps({"alerts": [alert]}).encode(), clock())
        for _ in range(2):
            send(client, "alertmanager", of_alertmanager(delivery, SECRET), delivery)
    assert [(event.type, event.occurred_at) for event in stored()] == [
        ("alertmanager.alert.firing", begun),
        ("alertmanager.alert.resolved", clock()),
    ]


def test_an_alert_that_is_repeated_each_four_hours_for_days_is_one_event(
    client: Client, clock: TestClock
) -> None:
    delivery = examples.make("alertmanager.alert.firing", clock()).delivery
    for _ in range(15):
        send(client, "alertmanager", of_alertmanager(delivery, SECRET), delivery)
        clock.tick(4 * 3600)
    assert len(stored()) == 1
    clock.tick(24 * 3600)
    again = send(client, "alertmanager", of_alertmanager(delivery, SECRET), delivery)
    assert again.json["duplicates"] == 0
    assert len(stored()) == 2


def test_rules_read_the_fields_of_a_hook_as_of_any_event(client: Client, clock: TestClock) -> None:
    _, key = keys.create(session(), "operator", ["admin"], clock())
    session().commit()
    rule = {
        "name": "Pushes to master",
        "dsl": 'when type == "github.push" and ref == "refs/heads/master"'
        ' and repository.full_name == "Codertocat/Hello-World" then notify("slack:#git")',
    }
    made = client.post("/rules", json=rule, headers={"Authorization": f"Bearer {key}"})
    assert made.status_code == 201, made.text
    delivery = examples.make("github.push", clock()).delivery
    send(client, "github", of_github(delivery, SECRET), delivery)
    evaluate(clock())
    assert len(notifications()) == 1
