"""A backup is taken while Sentinel runs, and another machine goes on from it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests
from standardwebhooks import Webhook

from app.cli.local import binaries
from app.cli.local.home import CHECKOUT
from app.cli.local.postgres import Postgres
from tests.acceptance import schema
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance


OLDEST = binaries.DEBIAN / "15" / "bin"


def sentinel(home: Path, *words: str, database: str = "") -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    env |= {"SENTINEL_HOME": str(home), "PYTHONPATH": str(CHECKOUT), "DATABASE_URL": database}
    command = [sys.executable, "-P", "-m", "app.cli", *words]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_a_backup_restored_elsewhere_has_rules_events_and_secrets_and_delivers(
    tmp_path: Path,
) -> None:
    file = tmp_path / "sentinel.dump"
    with Stack() as before:
        url = f"{before.receiver.url}/erp"
        secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        channel = {"name": "erp", "kind": "webhook", "config": {"url": url, "secret": secret}}
        assert before.post("/channels", channel).status_code == 201
        rule = {"name": "Kept", "dsl": 'when type == "kept" then notify("webhook:erp")'}
        assert before.post("/rules", rule).status_code == 201
        event = before.post("/events", {"type": "kept"}).json()["id"]
        before.receiver.wait_for(1)
        taken = sentinel(before.home.path, "backup", "create", str(file))
        assert taken.returncode == 0, taken.stderr
        assert file.stat().st_mode & 0o077 == 0
        again = sentinel(before.home.path, "backup", "create", str(file))
        assert (again.returncode, "exists" in again.stderr) == (1, True)
        key = before.env["SENTINEL_SECRET_KEY"]

    with Stack(env={"SENTINEL_SECRET_KEY": key}, start=()) as after:
        full = sentinel(after.home.path, "backup", "restore", str(file))
        assert (full.returncode, "runs on" in full.stderr) == (1, True)
        after.stop_servers()
        shutil.rmtree(after.home.postgres_data)
        done = sentinel(after.home.path, "backup", "restore", str(file))
        assert done.returncode == 0, done.stderr
        again = sentinel(after.home.path, "backup", "restore", str(file))
        assert (again.returncode, "not empty" in again.stderr) == (1, True)
        after.start_again()
        assert after.get(f"/events/{event}").json()["state"] == "evaluated"
        moved = {"config": {"url": f"{after.receiver.url}/erp"}}
        answer = requests.patch(f"{after.api_url}/channels/erp", json=moved, timeout=10)
        assert answer.status_code == 200, answer.text
        assert after.post("/events", {"type": "kept"}).status_code == 202
        [heard] = after.receiver.wait_for(1)
        assert Webhook(secret).verify(heard.body, heard.headers)


@pytest.fixture
def oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """The oldest PostgreSQL that serves, which the commands' programs are newer than."""
    if not OLDEST.is_dir():
        pytest.skip("needs PostgreSQL 15: apt-get install postgresql-15")
    with monkeypatch.context() as patch:
        patch.setattr(binaries, "_postgres_folders", lambda: [OLDEST])
        # Another test's was written by a newer one.
        patch.setattr(schema, "DUMP", tmp_path / "schema")
        stack = Stack(start=())
        with stack:
            yield stack


def test_programs_that_are_newer_than_the_server_write_a_backup_and_restore_it(
    oldest: Stack, tmp_path: Path
) -> None:
    file, home = tmp_path / "sentinel.dump", tmp_path / "home"
    oldest.sql(
        "INSERT INTO inbox_messages (received_at, source, path, headers, body)"
        " SELECT now(), 'slack', '/', '{}', md5(number::text) FROM generate_series(1, 20000) AS number"
    )
    taken = sentinel(home, "backup", "create", str(file), database=oldest.database_url)
    assert taken.returncode == 0, taken.stderr
    postgres = Postgres(oldest.home)
    postgres.create_database("another")
    url = postgres.url("another")
    cut = tmp_path / "cut.dump"
    cut.write_bytes(file.read_bytes()[:-300_000])
    refused = sentinel(home, "backup", "restore", str(cut), database=url)
    assert (refused.returncode, "pg_restore failed" in refused.stderr) == (1, True)
    done = sentinel(home, "backup", "restore", str(file), database=url)
    assert done.returncode == 0, done.stderr
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM inbox_messages").fetchone() == (20_000,)
