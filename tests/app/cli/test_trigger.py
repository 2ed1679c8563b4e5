"""`./sentinel trigger`, against the application behind a real port."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from app.config import Settings
from app.extensions import session
from app.hooks import examples, registry
from app.models.events import Event
from tests.app.cli.conftest import Command
from tests.conftest import TestClock

SECRETS = ",".join(f"{name}=hush" for name in registry.names())


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Each source has a secret, so that a wrong signature is refused."""
    return replace(settings, hook_secrets=tuple(SECRETS.split(",")))


@pytest.fixture
def clock(clock: TestClock) -> TestClock:
    """The command line's time, since a signature has one."""
    clock.now = datetime.now(UTC)
    return clock


def types() -> list[str]:
    session().rollback()
    return [event.type for event in session().scalars(select(Event))]


def test_without_a_type_it_lists_them_within_80_columns(command: Command) -> None:
    lines = command("trigger").output.splitlines()
    assert [line.split()[0] for line in lines] == list(examples.types())
    assert max(len(line) for line in lines) <= 80
    listed = json.loads(command("trigger", "--json").output)
    assert {one["source"] for one in listed} == set(registry.names())
    assert command("trigger", "--list").output.splitlines() == lines
    assert json.loads(command("trigger", "--list", "--json").output) == listed


@pytest.mark.parametrize("type_", examples.types())
def test_an_example_is_signed_where_its_secret_is_known(
    command: Command, served: str, monkeypatch: pytest.MonkeyPatch, type_: str
) -> None:
    monkeypatch.setenv("SENTINEL_HOOK_SECRETS", SECRETS)
    done = command("trigger", type_, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.output)
    assert said["sent_to"] == f"/hooks/{examples.source_of(type_)}"
    assert types() == [type_] * len(said["ids"])
    command("trigger", type_)
    assert types() == [type_] * 2 * len(said["ids"])


@pytest.mark.parametrize("type_", examples.types())
def test_an_example_is_sent_as_the_event_that_it_is_where_no_secret_is_known(
    command: Command, served: str, type_: str
) -> None:
    done = command("trigger", type_)
    assert done.exit_code == 0, done.output
    assert done.stderr == f"{type_} to /events\n"
    assert set(types()) == {type_}
    assert len(done.stdout.split()) == len(types())


def test_a_type_that_nobody_knows_is_a_usage_error(command: Command) -> None:
    done = command("trigger", "github.bush")
    assert done.exit_code == 2
    assert "there is no example of 'github.bush'; did you mean" in done.stderr
    assert "github.push" in done.stderr
    assert "--list" in command("trigger", "pigeon").stderr
    assert command("trigger", "github.push", "--list").exit_code == 2


def test_secrets_that_make_no_sense_are_a_usage_error(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_HOOK_SECRETS", "hush")
    done = command("trigger", "github.push")
    assert (done.exit_code, "hush" in done.stderr) == (2, False)


def test_a_refusal_is_told(command: Command, served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_HOOK_SECRETS", "github=other")
    done = command("trigger", "github.push")
    assert done.exit_code == 1
    assert "signature" in done.stderr
