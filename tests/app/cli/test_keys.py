"""`./sentinel key`: the first key comes from the database, the others from whoever has one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.config import Settings
from tests.app.cli.conftest import Command


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, auth="keys")


def test_the_first_key_opens_the_door_makes_others_and_one_that_is_revoked_does_not(
    command: Command,
    served: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # A machine that never ran `up`, and on which nothing is left behind.
    home = tmp_path / "home"
    monkeypatch.setenv("SENTINEL_HOME", str(home))
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    for name, why in (("", "/name: Length must"), ("a\x07", "/name: contains control characters")):
        nameless = command("key", "create", name, "--scope", "admin")
        assert (nameless.exit_code, nameless.stdout, nameless.stderr[: len(why)]) == (1, "", why)
    shut = command("key", "list")
    assert (shut.exit_code, "send a key" in shut.output) == (1, True), shut.output

    first = command("key", "create", "operator", "--scope", "admin")
    assert first.exit_code == 0, first.output
    assert "Key 'operator' may admin. It is not shown again." in first.stderr
    assert not home.exists()
    monkeypatch.setenv("SENTINEL_API_KEY", first.stdout.strip())

    # By the API, since there is a key now; the database is not needed any more.
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    made = command("key", "create", "reader", "--scope", "read", "--scope", "ingest", "--json")
    reader = json.loads(made.stdout)
    assert (reader["name"], reader["scopes"]) == ("reader", ["ingest", "read"])
    listed = json.loads(command("key", "list", "--json").stdout)
    assert {one["name"] for one in listed} == {"operator", "reader"}
    assert reader["key"] not in json.dumps(listed)

    monkeypatch.setenv("SENTINEL_API_KEY", reader["key"])
    assert command("rule", "list").exit_code == 0
    refused = command("key", "list")
    assert (refused.exit_code, "admin" in refused.output) == (1, True), refused.output

    monkeypatch.setenv("SENTINEL_API_KEY", first.stdout.strip())
    gone = command("key", "revoke", reader["id"])
    assert gone.output.strip() == "Key 'reader' is revoked."
    assert "revoked" in command("key", "list").output
    monkeypatch.setenv("SENTINEL_API_KEY", reader["key"])
    refused = command("rule", "list")
    assert (refused.exit_code, "reader" in refused.output) == (1, False), refused.output
