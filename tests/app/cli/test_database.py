"""Commands work on the database that is meant, or say that they cannot."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.backup import backup
from app.cli.key import key
from app.cli.local.database import chosen_url, libpq
from app.cli.local.errors import LocalError


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path))
    for name in ("DATABASE_URL", "DATABASE_URL_FILE", "SENTINEL_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_configured_database_it_is_the_embedded_one() -> None:
    assert chosen_url().startswith("postgresql+psycopg://sentinel@/sentinel?host=")


@pytest.mark.parametrize(
    ("name", "value"), [("DATABASE_URL", "mysql://x/y"), ("DATABASE_URL_FILE", "/nowhere")]
)
def test_a_wrong_database_is_never_replaced_by_the_embedded_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(LocalError, match=name):
        chosen_url()
    for command, words in (
        (key, ["create", "x", "--scope", "admin"]),
        (backup, ["create", str(tmp_path / "dump")]),
    ):
        done = CliRunner().invoke(command, words)
        assert (done.exit_code, name in done.output) == (1, True)
    assert not list(tmp_path.glob("dump*"))


def test_a_password_is_in_the_environment_and_not_among_the_arguments() -> None:
    words, env = libpq("postgresql+psycopg://u:s3cret@db:5433/sentinel?sslmode=require")
    assert "s3cret" not in words
    assert env["PGPASSWORD"] == "s3cret"
    for word in ("host=db", "port=5433", "user=u", "dbname=sentinel", "sslmode=require"):
        assert word in words
