"""Every change leaves an entry that says who made it; generated from the OpenAPI document."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.config import Settings
from app.extensions import session
from app.models.notifications import Status
from app.services import cancelling, claims, keys, rulesets
from tests.app.client import Answer, Client
from tests.app.helpers import ORDERS, evaluate, make_rule, notifications, post_event
from tests.app.openapi import operations, scope_of
from tests.conftest import TestClock

# What a call with the scope to read or to send may do with a POST: nothing that outlives it, or events.
NO_CHANGE = {"/rules/validate", "/rules/test", "/events", "/hooks/{source}", "/api/v2/alerts"}
IN_BULK = {"/notifications/retry", "/events/replay"}
# What a call makes where its path says something else.
MADE = dict.fromkeys(
    ("/rules/backtest", "/rules/{rule_id}/backtest", "/rules/{rule_id}/diff"), "backtest"
)
HOOK = {"name": "erp", "kind": "webhook", "config": {"url": "http://127.0.0.1:9/"}}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, auth="keys", egress_allow=("127.0.0.1",))


QUIET = {"severity": "info", "for": "1h"}
PAST = {"since": "2026-02-01T00:00:00Z"}


class Operator:
    """A client with a key, and a way to make each change."""

    def __init__(self, client: Client, clock: TestClock) -> None:
        _, text = keys.create(session(), "operator", ["admin"], clock())
        session().commit()
        self._client = client
        self._clock = clock
        self._headers = {"Authorization": f"Bearer {text}"}

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        self._clock.tick(1)
        options = {} if body is None else {"json": body}
        return self._client.open(path, method=method.upper(), headers=self._headers, **options)

    def post(self, path: str, json: Any) -> Answer:
        """As the helpers expect of a client."""
        return self.call("post", path, json)

    def entries(self, query: str = "") -> list[dict[str, Any]]:
        return list(self.call("get", f"/audit{query}").json["data"])

    def rule(self) -> str:
        return make_rule(self, ORDERS)  # type: ignore[arg-type]

    def dead_letter(self) -> UUID:
        self.rule()
        post_event(self)  # type: ignore[arg-type]
        evaluate(self._clock())
        [one] = notifications()
        one.status = Status.DEAD
        session().commit()
        return one.id

    def alert(self) -> str:
        self.rule()
        post_event(self)  # type: ignore[arg-type]
        evaluate(self._clock())
        return str(self.call("get", "/alerts").json["data"][0]["id"])

    def event(self) -> UUID:
        return post_event(self)  # type: ignore[arg-type]

    def after_an_event(self) -> str:
        self.event()
        return self._clock.tick(1).isoformat()

    def failed_event(self) -> UUID:
        event_id = self.event()
        [claim] = claims.together(session(), [event_id], self._clock(), uuid4())
        claims.settle(session(), [claim])
        claims.fail(session(), claim, "poison", self._clock())
        session().commit()
        return event_id


CHANGES: dict[tuple[str, str], Callable[[Operator], tuple[str, Any]]] = {
    ("post", "/rules"): lambda who: ("/rules", {"name": "a", "dsl": ORDERS}),
    ("put", "/rules/{rule_id}"): lambda who: (f"/rules/{who.rule()}", {"name": "b", "dsl": ORDERS}),
    ("patch", "/rules/{rule_id}"): lambda who: (f"/rules/{who.rule()}", {"enabled": False}),
    ("post", "/rules/{rule_id}/demote"): lambda who: (f"/rules/{who.rule()}/demote", None),
    ("post", "/rules/{rule_id}/promote"): lambda who: (shadow(who) + "/promote", None),
    ("delete", "/rules/{rule_id}"): lambda who: (f"/rules/{who.rule()}", None),
    ("post", "/channels"): lambda who: ("/channels", HOOK),
    ("patch", "/channels/{name}"): lambda who: (channel(who), {"enabled": False}),
    ("delete", "/channels/{name}"): lambda who: (channel(who), None),
    ("post", "/keys"): lambda who: ("/keys", {"name": "new", "scopes": ["read"]}),
    ("delete", "/keys/{key_id}"): lambda who: (f"/keys/{key(who)}", None),
    ("post", "/notifications/{notification_id}/retry"): lambda who: (
        f"/notifications/{who.dead_letter()}/retry",
        None,
    ),
    ("post", "/notifications/retry"): lambda who: (
        "/notifications/retry",
        {"ids": [str(who.dead_letter())]},
    ),
    ("post", "/silences"): lambda who: ("/silences", QUIET),
    ("patch", "/silences/{silence_id}"): lambda who: (silence(who), {"comment": "later"}),
    ("delete", "/silences/{silence_id}"): lambda who: (silence(who), None),
    ("post", "/silences/{silence_id}/expire"): lambda who: (f"{silence(who)}/expire", None),
    ("post", "/alerts/{alert_id}/ack"): lambda who: (f"/alerts/{who.alert()}/ack", {}),
    ("post", "/alerts/{alert_id}/snooze"): lambda who: (
        f"/alerts/{who.alert()}/snooze",
        {"for": "2h"},
    ),
    ("post", "/alerts/{alert_id}/reopen"): lambda who: (f"/alerts/{who.alert()}/reopen", {}),
    ("post", "/alerts/{alert_id}/resolve"): lambda who: (f"/alerts/{who.alert()}/resolve", {}),
    ("post", "/events/{event_id}/retry"): lambda who: (f"/events/{who.failed_event()}/retry", None),
    ("post", "/events/{event_id}/replay"): lambda who: (f"/events/{who.event()}/replay", None),
    ("post", "/events/replay"): lambda who: (
        "/events/replay",
        {"since": "2026-01-01T00:00:00Z", "until": who.after_an_event()},
    ),
    ("post", "/rules/backtest"): lambda who: ("/rules/backtest", {"dsl": ORDERS, **PAST}),
    ("post", "/rules/{rule_id}/backtest"): lambda who: (f"/rules/{who.rule()}/backtest", PAST),
    ("post", "/rules/{rule_id}/diff"): lambda who: (
        f"/rules/{who.rule()}/diff",
        {"dsl": ORDERS, **PAST},
    ),
    ("post", "/backtests/{backtest_id}/cancel"): lambda who: (f"{backtest(who)}/cancel", None),
    ("post", "/channels/{name}/test"): lambda who: (f"{channel(who)}/test", None),
}


def backtest(who: Operator) -> str:
    begun = who.call("post", "/rules/backtest", {"dsl": ORDERS, **PAST})
    return str(begun.headers["Location"])


def silence(who: Operator) -> str:
    return "/silences/" + str(who.call("post", "/silences", QUIET).json["id"])


def shadow(who: Operator) -> str:
    rule = f"/rules/{who.rule()}"
    assert who.call("patch", rule, {"mode": "shadow"}).status_code == 200
    return rule


def channel(who: Operator) -> str:
    assert who.call("post", "/channels", HOOK).status_code == 201
    return "/channels/erp"


def key(who: Operator) -> str:
    return str(who.call("post", "/keys", {"name": "new", "scopes": ["read"]}).json["id"])


@pytest.fixture
def operator(client: Client, clock: TestClock) -> Operator:
    return Operator(client, clock)


def test_every_operation_that_changes_something_leaves_an_entry(
    client: Client, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operation that is missing in CHANGES fails: say there how to call it."""
    # No worker will make the test of a channel here.
    monkeypatch.setattr("app.api.channels.TEST_SECONDS", 0)
    changing = {
        (method, path)
        for method, path, operation in operations(client)
        if method != "get" and scope_of(operation) in ("write", "admin")
    }
    assert changing == set(CHANGES)
    for (method, path), prepare in CHANGES.items():
        url, body = prepare(operator)
        before = {entry["id"] for entry in operator.entries()}
        answer = operator.call(method, url, body)
        assert answer.status_code in (200, 201, 202, 204), (method, path, answer.text)
        [entry] = [one for one in operator.entries() if one["id"] not in before]
        assert entry["actor"] == "operator"
        assert entry["request_id"] == answer.headers["X-Request-ID"]
        made = MADE.get(path, path.split("/")[1].removesuffix("s"))
        assert entry["action"].partition(".")[0] == made
        assert entry["object_id"] or path in IN_BULK
        assert entry["changes"], (method, path)
        forget()


def forget() -> None:
    """Every rule and channel goes, so that the next change finds their names free."""
    from sqlalchemy import text

    session().execute(text("TRUNCATE rules, channels, events, pending_events, alerts CASCADE"))
    session().commit()
    rulesets.live.forget()


def test_no_operation_writes_with_the_scope_to_read_or_to_send(client: Client) -> None:
    others = {
        path
        for method, path, operation in operations(client)
        if method != "get" and scope_of(operation) not in ("write", "admin")
    }
    assert others <= NO_CHANGE


def test_what_was_refused_leaves_no_entry(operator: Operator) -> None:
    rule = operator.rule()
    before = len(operator.entries())
    assert operator.call("post", "/rules", {"name": "Orders", "dsl": ORDERS}).status_code == 409
    assert operator.call("patch", f"/rules/{rule}", {"dsl": "when"}).status_code == 422
    assert operator.call("patch", "/channels/none", {"enabled": True}).status_code == 404
    assert len(operator.entries()) == before


def test_an_entry_says_what_was_and_what_is_and_keeps_secrets_to_itself(
    operator: Operator,
) -> None:
    config = {"url": "http://127.0.0.1:9/", "secret": "whsec_" + "c2VjcmV0" * 4}
    operator.call("post", "/channels", HOOK | {"config": config})
    operator.call("patch", "/channels/erp", {"enabled": False})
    made = operator.call("post", "/keys", {"name": "new", "scopes": ["read"]})
    entries = operator.entries()
    assert [one["action"] for one in entries] == ["key.create", "channel.patch", "channel.create"]
    [change] = entries[1]["changes"]
    assert change["fields"]["enabled"] == {"old": True, "new": False}
    assert (entries[1]["object_kind"], entries[1]["object_name"]) == ("channel", "erp")
    told = operator.call("get", "/audit").text
    assert config["secret"] not in told
    assert made.json["key"] not in told


def test_the_log_is_read_by_pages_and_filters(operator: Operator, clock: TestClock) -> None:
    rule = operator.rule()
    moment = clock.tick(60)
    for number in range(3):
        operator.call("patch", f"/rules/{rule}", {"description": str(number)})
    first = operator.call("get", "/audit?limit=2").json
    second = operator.call("get", f"/audit?limit=2&after={first['next']}").json
    whole = [one["id"] for one in first["data"] + second["data"]]
    assert whole == [one["id"] for one in operator.entries()]
    assert second["next"] is None
    assert len(operator.entries("?action=rule.patch")) == 3
    assert len(operator.entries("?actor=nobody")) == 0
    since = moment.isoformat().replace("+00:00", "Z")
    assert len(operator.entries(f"?since={since}")) == 3


def test_a_rule_that_changes_names_its_versions_fields(operator: Operator) -> None:
    rule = operator.rule()
    operator.call("patch", f"/rules/{rule}", {"enabled": False})
    entry = operator.entries()[0]
    assert (entry["object_id"], entry["object_name"]) == (rule, "Orders")
    fields = {one["table"]: one["fields"] for one in entry["changes"] if one["fate"] == "changed"}
    assert fields["rules"]["enabled"] == {"old": True, "new": False}


def test_a_rule_with_much_to_cancel_is_named_too(
    operator: Operator, clock: TestClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "AT_ONCE", 1)
    rule = operator.rule()
    for _ in range(2):
        post_event(operator)  # type: ignore[arg-type]
    evaluate(clock())
    operator.call("patch", f"/rules/{rule}", {"enabled": False})
    entry = operator.entries()[0]
    assert (entry["object_id"], entry["object_name"]) == (rule, "Orders")
