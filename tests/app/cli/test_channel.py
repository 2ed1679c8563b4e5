"""`./sentinel channel`: named places that hear about alerts, from a shell."""

import json

import pytest

from app.extensions import session
from app.models.channels import Receiver
from tests.app.cli.conftest import Command
from tests.conftest import TestClock

CONFIG = json.dumps({"url": "https://erp.example/alerts"})


@pytest.fixture(autouse=True)
def address(command: Command, served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_URL", served)


def test_one_is_made_from_stdin_shown_and_listed(command: Command) -> None:
    done = command("channel", "create", "erp", "webhook", "-", said=CONFIG)
    assert done.exit_code == 0, done.output
    assert "webhook:erp is made." in done.output
    assert "not shown again" in done.output
    shown = command("channel", "show", "erp").output
    assert "url: https://erp.example/alerts" in shown
    assert "receiver: well, 0 wait" in shown
    assert "webhook:erp  on" in command("channel", "list").output


def test_one_is_made_of_single_fields(command: Command) -> None:
    done = command("channel", "create", "erp", "webhook", "--set", "url=https://erp.example/?a=b")
    assert done.exit_code == 0, done.output
    (one,) = json.loads(command("channel", "list", "--json").stdout)
    assert one["config"]["url"] == "https://erp.example/?a=b"


@pytest.mark.parametrize("config", ["[1]", "{", "7"])
def test_a_config_that_is_no_object_is_a_usage_error(command: Command, config: str) -> None:
    done = command("channel", "create", "erp", "webhook", "-", said=config)
    assert done.exit_code == 2
    assert "CONFIG is no JSON" in done.output


def test_a_field_without_a_value_is_a_usage_error(command: Command) -> None:
    assert command("channel", "create", "erp", "webhook", "--set", "url").exit_code == 2


def test_what_the_api_refuses_is_said(command: Command) -> None:
    done = command("channel", "create", "erp", "webhook", "--set", "url=nonsense")
    assert done.exit_code == 1
    assert "the URL must be" in done.output


def test_one_is_switched_off_and_on_and_deleted(command: Command) -> None:
    command("channel", "create", "big orders", "webhook", "-", said=CONFIG)
    assert command("channel", "disable", "big orders").output == "webhook:big orders is off.\n"
    assert (
        command("channel", "enable", "webhook:big orders").output == "webhook:big orders is on.\n"
    )
    assert command("channel", "delete", "big orders").exit_code == 0
    assert command("channel", "list", "--json").stdout == "[]\n"
    assert command("channel", "show", "big orders").exit_code == 1


def test_a_receiver_that_fails_is_shown(command: Command, clock: TestClock) -> None:
    command("channel", "create", "erp", "webhook", "-", said=CONFIG)
    held = {"held_until": clock(), "held_for": "circuit", "failing_since": clock()}
    session().add(Receiver(key="webhook:erp", failures=5, pauses=1, **held))
    session().commit()
    shown = command("channel", "show", "erp").output
    assert "receiver: held" in shown
    assert "5 failures since" in shown
    assert ": circuit" in shown
