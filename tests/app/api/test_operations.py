"""What operators and programs look at beside the resources: health, metrics, documents, errors."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, LiteralString, cast

import pytest
from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from prometheus_flask_exporter import PrometheusMetrics
from psycopg import connect
from psycopg.sql import SQL, Identifier

from app.api.acceptance import group
from app.broker import Broker
from app.cli.local.migrations import is_current
from app.config import Settings
from app.extensions import db, session
from app.factory import create_app
from app.metrics import REQUESTS, RULES_TRIGGERED, Totals
from app.services import streams, upkeep
from tests.app.client import Client
from tests.app.helpers import post_event, schema_of
from tests.conftest import TestClock


def sample(client: Client, name: str, **labels: str) -> float | None:
    families = text_string_to_metric_families(client.get("/metrics").text)
    for family in families:
        for one in family.samples:
            if one.name == name and labels.items() <= one.labels.items():
                return float(one.value)
    return None


def test_ready_means_that_events_are_accepted_and_says_which_workers_live(
    client: Client, clock: TestClock
) -> None:
    without = client.get("/readyz")
    assert (without.status_code, without.json["status"]) == (200, "degraded")
    assert without.json["down"] == ["workers:events", "workers:notifications"]
    upkeep.beat(session(), "a", ["events", "notifications"], clock())
    session().commit()
    assert client.get("/readyz").json["status"] == "ready"


@pytest.mark.parametrize(
    ("revision", "told", "status"), [("0001", "pending", 503), ("9999", "newer", 200)]
)
def test_a_schema_that_a_newer_release_has_migrated_serves_this_one_and_an_older_does_not(
    client: Client, settings: Settings, revision: str, told: str, status: int
) -> None:
    assert is_current(settings.database_url)
    with schema_of(revision):
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json["components"]["migrations"]) == (status, told)
        assert ("migrations" in ready.json["down"]) == (status == 503)
        # What a container waits for before it starts.
        assert is_current(settings.database_url) == (status == 200)


def test_without_a_broker_events_are_still_accepted(
    settings: Settings, clock: TestClock, app: Flask
) -> None:
    nowhere = create_app(replace(settings, broker=Broker("redis://127.0.0.1:1/0")), clock)
    client = cast(Client, nowhere.test_client())
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert "broker" in ready.json["down"]
    with nowhere.app_context():
        assert post_event(client).version == 7
        group().close()


def test_without_a_database_the_answer_is_503_and_never_202(
    settings: Settings, clock: TestClock, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    client = cast(Client, create_app(replace(settings, database_url=url), clock).test_client())
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (503, "down")
    # Who works is in the database, and so nobody knows.
    assert ready.json["down"] == ["database"]
    answer = client.post("/events", json={"type": "a"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.content_type == "application/problem+json"
    logged = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert logged["event"] == "database_unavailable"
    assert logged["request_id"] == answer.json["request_id"]
    assert client.get("/healthz").status_code == 200


@pytest.fixture
def standby(app: Flask, settings: Settings) -> Iterator[Callable[[], None]]:
    """The database takes no writes, as a standby does, and some servers whose disk is nearly full; until it is told."""
    url = settings.database_url.replace("+psycopg", "", 1)
    with connect(url, autocommit=True, options="-c default_transaction_read_only=off") as admin:

        def switch(word: LiteralString) -> None:
            change = SQL("ALTER DATABASE {} SET default_transaction_read_only = {}")
            admin.execute(change.format(Identifier(admin.info.dbname), SQL(word)))

        switch("on")
        yield partial(switch, "DEFAULT")
        switch("DEFAULT")


def test_a_database_that_takes_no_writes_is_away_until_it_does(
    standby: Callable[[], None], settings: Settings, clock: TestClock
) -> None:
    client = cast(Client, create_app(settings, clock).test_client())
    answer = client.post("/events", json={"type": "a"})
    assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "2")
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["components"]["database"]) == (503, "read-only")
    assert ready.json["down"] == ["database"]
    assert "takes no writes" in client.get("/").text
    assert client.get("/events").status_code == 200
    standby()
    # Who balances sends nothing until it is ready.
    assert [client.get("/readyz").status_code for _ in range(3)][-1] == 200
    assert client.post("/events", json={"type": "a"}).status_code == 202


def test_the_required_counters_are_there_and_count(client: Client) -> None:
    before = sample(client, "events_ingested_total", source="http", outcome="accepted") or 0
    post_event(client)
    after = sample(client, "events_ingested_total", source="http", outcome="accepted")
    assert after == before + 1
    assert sample(client, "sentinel_events_pending") == 1
    shown = client.get("/metrics").text
    for name in ("rules_triggered_total", "notifications_sent_total", "sentinel_build_info"):
        assert f"# TYPE {name.removesuffix('_total')}" in shown or f"# TYPE {name}" in shown


def test_each_queue_is_told_with_its_workers_that_live(client: Client) -> None:
    upkeep.beat(session(), "a", ["events"], datetime.now(UTC))
    upkeep.beat(session(), "b", ["events"], datetime.now(UTC))
    upkeep.beat(session(), "dead", ["events"], datetime.now(UTC) - timedelta(minutes=1))
    session().commit()
    assert sample(client, "sentinel_workers", queue="events") == 2
    assert sample(client, "sentinel_workers", queue="notifications") == 0


def test_a_stream_that_nobody_reads_any_more_says_since_when(client: Client) -> None:
    for name, ago in (("kafka:orders", timedelta(seconds=4)), ("redis:events", timedelta(hours=1))):
        streams.report(session(), name, 7, datetime.now(UTC) - ago)
    session().commit()
    silent = partial(sample, client, "sentinel_stream_silence_seconds")
    assert 4 <= cast(float, silent(stream="kafka:orders")) < 60
    assert 3600 <= cast(float, silent(stream="redis:events")) < 3660


def test_metrics_can_be_asked_for_by_name(client: Client) -> None:
    post_event(client)
    shown = client.get("/metrics?name[]=events_ingested_total").text
    assert "events_ingested_total{" in shown
    assert "sentinel_events_pending" not in shown


def test_refused_events_are_counted_by_their_reason(client: Client) -> None:
    client.post("/events", data=b"{", headers={"Content-Type": "application/json"})
    client.post("/events", data=b"{}", headers={"Content-Type": "text/plain"})
    assert sample(client, "sentinel_ingest_rejected_total", reason="bad_request") == 1
    assert sample(client, "sentinel_ingest_rejected_total", reason="unsupported_media_type") == 1


def test_counters_of_several_processes_add_up_and_survive_them(app: Flask, client: Client) -> None:
    for _ in range(2):
        process = Totals()
        process.bind(db.engine)
        process.count(RULES_TRIGGERED, "Orders", by=2)
        process.flush()
        del process
    assert sample(client, "rules_triggered_total", rule="Orders") == 4


def test_answers_are_counted_by_their_status_over_all_hosts(app: Flask, client: Client) -> None:
    assert sample(client, "sentinel_requests_total", status="503") == 0
    assert sample(client, "sentinel_requests_total", status="500") == 0
    another = Totals()
    another.bind(db.engine)
    another.count(REQUESTS, "404", by=2)
    another.flush()
    client.get("/nonsense")
    assert sample(client, "sentinel_requests_total", status="404") == 3
    assert sample(client, "sentinel_requests_total", status="200") is None


def test_flasks_own_metrics_are_by_route_and_not_by_url(client: Client) -> None:
    client.get("/events/01a20991-cc19-714b-b1de-3c65f67f389a")
    shown = client.get("/metrics").text
    assert 'url_rule="/events/<uuid:event_id>"' in shown
    assert "01a20991" not in shown


def test_flasks_own_metrics_are_those_of_the_exporter(
    app: Flask, settings: Settings, clock: TestClock
) -> None:
    # One that has counted nothing yet, whatever was tested before.
    client = cast(Client, create_app(settings, clock).test_client())
    plain = Flask("plain")
    PrometheusMetrics(plain, registry=CollectorRegistry(), group_by="url_rule")
    plain.test_client().get("/nonsense")
    client.get("/nonsense")
    shown = client.get("/metrics").text
    assert _flasks(shown) == _flasks(plain.test_client().get("/metrics").text)
    assert 'url_rule="/metrics"' not in shown


def _flasks(shown: str) -> set[tuple[str, ...]]:
    """Names, kinds and explanations, and of each sample the names of its labels."""
    families = [
        family
        for family in text_string_to_metric_families(shown)
        if family.name.startswith("flask_")
    ]
    samples = {(one.name, *sorted(one.labels)) for family in families for one in family.samples}
    return samples | {(one.name, one.type, one.documentation) for one in families}


def test_the_openapi_document_is_3_1_and_describes_the_errors(client: Client) -> None:
    document = client.get("/openapi.json").json
    assert document["openapi"] == "3.1.0"
    assert "/rules/{rule_id}/versions" in document["paths"]
    assert "Problem" in document["components"]["schemas"]
    refused = document["components"]["responses"]["DEFAULT_ERROR"]["content"]
    assert list(refused) == ["application/problem+json"]


def test_the_docs_page_names_every_operation_and_loads_nothing_from_elsewhere(
    client: Client,
) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    for path in client.get("/openapi.json").json["paths"]:
        assert path in page.text
    assert re.findall(r'(?:src|href|action)="(?:https?:)?//', page.text) == []
    assert "@import" not in page.text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert client.get("/docs/static/docs.css").status_code == 200


@pytest.mark.parametrize("path", ["/nonsense", "/rules/nonsense", "/docs/static/../x"])
def test_what_does_not_exist_is_a_problem_too(client: Client, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


def test_a_sane_request_id_is_kept_and_another_replaced(client: Client) -> None:
    def told(sent: str) -> str:
        return client.get("/healthz", headers={"X-Request-ID": sent}).headers["X-Request-ID"]

    assert told("abc-123") == "abc-123"
    assert told("a b") != "a b"
    assert told("x" * 65) != "x" * 65


# Of each kind that takes neither a body nor a parameter; there need be nothing of that id.
NOBODY = "00000000-0000-7000-8000-000000000000"
NOTHING: tuple[dict[str, Any], ...] = (
    {},
    {"json": {}},
    {"data": b"", "content_type": "application/json"},
)


@pytest.mark.parametrize(
    "path",
    [
        f"/events/{NOBODY}/replay",
        f"/events/{NOBODY}/retry",
        f"/rules/{NOBODY}/promote",
        f"/rules/{NOBODY}/demote",
        f"/silences/{NOBODY}/expire",
        f"/backtests/{NOBODY}/cancel",
        f"/notifications/{NOBODY}/retry",
        "/channels/none/test",
    ],
)
def test_a_call_refuses_what_it_does_not_take_instead_of_doing_it_all_the_same(
    client: Client, path: str
) -> None:
    said = client.post(path, json={"dry_run": True})
    assert (said.status_code, said.json["errors"][0]["pointer"]) == (422, "/dry_run"), said.text
    asked = client.post(f"{path}?dry_run=true")
    assert (asked.status_code, asked.json["errors"][0]["pointer"]) == (422, "/query/dry_run")
    # To say nothing is fine, however it is said.
    for nothing in NOTHING:
        assert client.post(path, **nothing).status_code == 404


@pytest.mark.parametrize(
    "path", ["/channels", "/keys", f"/rules/{NOBODY}/versions", f"/events/{NOBODY}"]
)
def test_a_filter_that_is_not_known_is_refused_also_where_none_is(
    client: Client, path: str
) -> None:
    answer = client.get(f"{path}?kind=slack")
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "/query/kind")
