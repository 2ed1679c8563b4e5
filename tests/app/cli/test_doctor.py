"""`./sentinel doctor` finds what is wrong, and says the fix."""

import json
import shutil
from collections import namedtuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from app import clock as clocks
from app.cli.local import examination
from app.cli.local.examination import GIB, Verdict, parts
from app.client import ApiError
from app.extensions import session
from app.models.channels import ChannelRow, Receiver
from app.models.notifications import Notification, Status
from app.services import upkeep
from tests.app.cli.conftest import Command
from tests.app.client import Client
from tests.app.helpers import evaluate, make_rule, post_event, schema_of
from tests.conftest import TestClock

WORKERS = ("events", "notifications", "backtests")
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def at_work(clock: TestClock, client: Client) -> None:
    for queue in WORKERS:
        upkeep.beat(session(), f"{queue}@here", [queue], clock())
    session().commit()


def found(command: Command, *, code: int) -> dict[str, dict[str, Any]]:
    done = command("doctor", "--json")
    assert done.exit_code == code, done.output
    return {one["what"]: one for one in json.loads(done.stdout)}


def test_where_nothing_answers_it_says_what_to_start(command: Command) -> None:
    done = command("doctor")
    assert done.exit_code == 1
    assert "does not answer" in done.output
    assert "`./sentinel up`" in done.output


def test_the_well_are_told_so(
    command: Command, served: str, at_work: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)
    seen = found(command, code=0)
    assert {one["verdict"] for one in seen.values()} == {"good"}
    looked = {"API", "Database", "Schema", "Broker", "Workers of events", "Channels", "Clock"}
    assert looked <= set(seen)


def test_a_missing_migration_is_found_and_a_newer_schema_is_none(
    command: Command, served: str, at_work: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)
    with schema_of("0001"):
        schema = found(command, code=1)["Schema"]
        assert (schema["verdict"], schema["fix"]) == ("bad", "`flask --app wsgi db upgrade`")
    with schema_of("9999"):
        assert found(command, code=0)["Schema"]["verdict"] == "good"


def test_a_database_that_takes_no_writes_is_not_said_to_be_stopped() -> None:
    components = {"database": "read-only", "broker": "up", "workers": {}}
    database = next(parts(components))
    assert (database.verdict, database.said) == (Verdict.BAD, "read-only")
    assert "primary" in database.fix


def test_a_broker_that_takes_no_writes_is_not_said_to_be_stopped() -> None:
    components = {"database": "down", "broker": "read-only", "workers": {}}
    [broker] = [one for one in parts(components) if one.what == "Broker"]
    assert (broker.verdict, broker.said) == (Verdict.BAD, "read-only")
    assert "maxmemory" in broker.fix


@pytest.mark.parametrize(
    "told",
    [
        {"database": "down", "migrations": "unknown"},
        {"database": "read-only", "migrations": "current"},
        {"database": "up", "migrations": "pending"},
    ],
)
def test_workers_that_nobody_could_ask_for_are_not_said_to_be_dead(
    told: dict[str, str], command: Command, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    components = {**told, "broker": "up", "workers": {}}
    httpserver.expect_request("/readyz").respond_with_json({"components": components}, 503)
    monkeypatch.setenv("SENTINEL_URL", httpserver.url_for(""))
    seen = found(command, code=1)
    assert not [what for what in seen if what.startswith("Workers")]
    # Nor is anything else asked for that only a whole database knows.
    assert seen["API"]["verdict"] == "good"
    assert len(httpserver.log) == 1


def test_a_missing_worker_is_found(
    command: Command, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)
    seen = found(command, code=1)
    assert seen["Workers of events"]["verdict"] == "bad"
    assert "./sentinel up" in seen["Workers of events"]["fix"]
    assert seen["Workers of backtests"]["verdict"] == "warning"
    # `up` is ready before it starts that one.
    assert "seconds after" in seen["Workers of backtests"]["fix"]


def test_channels_that_are_off_or_fail_are_named(
    command: Command, served: str, at_work: None, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)
    for name in ("erp", "crm", "old"):
        config = {"url": f"https://{name}.example/"}
        body = {"name": name, "kind": "webhook", "config": config, "enabled": name != "old"}
        assert client.post("/channels", json=body).status_code == 201
    session().add(Receiver(key="webhook:crm", failures=3, pauses=0))
    row = session().query(ChannelRow).filter_by(name="erp").one()
    row.enabled, row.disabled_reason = False, "410 Gone"
    session().commit()
    seen = found(command, code=1)
    assert seen["Channel webhook:erp"]["said"] == "switched off: 410 Gone"
    assert seen["Channel webhook:crm"]["verdict"] == "warning"
    assert "channel test webhook:crm" in seen["Channel webhook:crm"]["fix"]
    # Somebody has switched it off, and knows.
    assert "Channel webhook:old" not in seen


def test_dead_letters_are_counted(
    command: Command,
    served: str,
    at_work: None,
    client: Client,
    clock: TestClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)
    make_rule(client)
    post_event(client, type="order", amount=900)
    evaluate(clock())
    session().query(Notification).update({"status": Status.DEAD})
    session().commit()
    seen = found(command, code=0)
    assert (seen["Dead letters"]["verdict"], seen["Dead letters"]["said"]) == ("warning", "1")
    assert "notification retry" in seen["Dead letters"]["fix"]


@pytest.mark.parametrize(
    ("free", "verdict"),
    [(50 * GIB, Verdict.GOOD), (2 * GIB, Verdict.WARNING), (GIB // 2, Verdict.BAD)],
)
def test_a_disk_that_fills_is_told_before_it_is_full(
    free: int, verdict: Verdict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(100 * GIB, 0, free))
    # Both lie on one disk, of which is told once.
    (finding,) = examination.disks([tmp_path, tmp_path.parent])
    assert finding.verdict is verdict
    assert bool(finding.fix) is (verdict is not Verdict.GOOD)


def test_a_machine_without_data_has_no_disk_to_look_at(tmp_path: Path) -> None:
    assert list(examination.disks([tmp_path / "none"])) == []


@pytest.mark.parametrize("status", [200, 404, 503])
def test_another_server_is_not_taken_for_a_sentinel(
    command: Command, status: int, httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    httpserver.expect_request("/readyz").respond_with_json({"status": "well"}, status)
    monkeypatch.setenv("SENTINEL_URL", httpserver.url_for(""))
    seen = found(command, code=1)
    assert seen["API"]["verdict"] == "bad"
    assert "SENTINEL_URL" in seen["API"]["fix"]


def test_without_a_key_that_may_read_it_says_which_it_needs() -> None:
    finding = examination.refused(ApiError(403, "needs `read`"))
    assert (finding.what, finding.verdict) == ("Key", Verdict.BAD)
    assert "SENTINEL_API_KEY" in finding.fix


def test_what_the_api_cannot_tell_is_not_blamed_on_the_key() -> None:
    assert examination.refused(ApiError(503, "the database does not answer")).what == "API"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1.5, "agrees"), (-2.9, "agrees"), (61, "61 s ahead"), (-61, "61 s behind")],
)
def test_a_clock_that_is_off_is_told(seconds: float, said: str) -> None:
    assert said in examination.skew(seconds).said


@pytest.mark.parametrize(("hours", "said"), [(1, "behind"), (-1, "ahead")])
def test_the_servers_clock_is_held_against_this_machines(
    command: Command,
    served: str,
    at_work: None,
    hours: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)
    monkeypatch.setattr(clocks, "system_clock", lambda: datetime.now(UTC) + timedelta(hours=hours))
    clock = found(command, code=0)["Clock"]
    assert (clock["verdict"], clock["said"].endswith(said)) == ("warning", True)
    assert "NTP" in clock["fix"]


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("answer", [None, 5, [], {}])
def test_another_server_is_told_to_be_another(
    answer: object,
    status: int,
    command: Command,
    httpserver: HTTPServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    httpserver.expect_request("/readyz").respond_with_json(answer, status)
    monkeypatch.setenv("SENTINEL_URL", httpserver.url_for(""))
    assert "is no Sentinel" in found(command, code=1)["API"]["said"]
