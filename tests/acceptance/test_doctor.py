"""`./sentinel doctor` and `channel test` beside real workers and a real receiver."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli.__main__ import sentinel
from app.cli.local.home import CHECKOUT
from app.cli.local.services import BACKTESTS, CORE
from tests.acceptance.hosts import need_namespaces
from tests.acceptance.ports import free_port
from tests.acceptance.receiver import Answer
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance
DEAD_PORT = free_port()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    env = {"SENTINEL_EGRESS_ALLOW": f"127.0.0.1:{DEAD_PORT}", "SENTINEL_AUTH": "keys"}
    with Stack(env=env, start=(*CORE, BACKTESTS)) as running:
        yield running


@pytest.fixture(scope="module")
def keys(stack: Stack) -> dict[str, str]:
    """A key for each thing that one may do; the first is written into the database."""
    made: dict[str, str] = {}
    for scope in ("admin", "read", "ingest"):
        done = run(stack, "key", "create", scope, "--scope", scope, key=made.get("admin", ""))
        assert done.exit_code == 0, done.output
        made[scope] = done.stdout.strip()
    return made


def run(stack: Stack, *words: str, key: str) -> Result:
    env = {"SENTINEL_URL": stack.api_url, "SENTINEL_HOME": str(stack.home.path)}
    return CliRunner().invoke(sentinel, words, env={**env, "SENTINEL_API_KEY": key})


def found(stack: Stack, key: str, *words: str) -> dict[str, dict[str, Any]]:
    """What the doctor finds, by what it has looked at."""
    done = run(stack, "doctor", *words, "--json", key=key)
    assert done.exit_code in (0, 1), done.output
    seen = {one["what"]: one for one in json.loads(done.stdout)}
    assert done.exit_code == any(one["verdict"] == "bad" for one in seen.values())
    return seen


@pytest.fixture(scope="module")
def admin(stack: Stack, keys: dict[str, str]) -> str:
    """The key that may do everything, once there are channels."""
    for name, url in {
        "erp": stack.receiver.url,
        "down": f"http://127.0.0.1:{DEAD_PORT}",
        "unknown": "https://hooks.nowhere.invalid",
    }.items():
        words = ("channel", "create", name, "webhook", "--set", f"url={url}/")
        made = run(stack, *words, key=keys["admin"])
        assert made.exit_code == 0, made.output
    return keys["admin"]


def test_a_channel_is_tried_through_broker_and_worker(stack: Stack, admin: str) -> None:
    tried = run(stack, "channel", "test", "erp", key=admin)
    assert tried.exit_code == 0, tried.output
    assert tried.output.startswith("delivered 200 after ")
    stack.receiver.answer = lambda _heard: Answer(404, body=b"no such \x1b[31mhook")
    tried = run(stack, "channel", "test", "erp", key=admin)
    stack.receiver.answer = lambda _heard: Answer()
    assert tried.exit_code == 1
    assert "permanent 404" in tried.output
    assert "no such ·[31mhook" in tried.output
    assert "does not know this address" in tried.output


def test_channels_are_tried_only_when_asked_for_and_the_fix_follows_the_answer(
    stack: Stack, admin: str
) -> None:
    before = len(stack.receiver.heard)
    assert not any(what.startswith("Channel ") for what in found(stack, admin))
    assert len(stack.receiver.heard) == before

    seen = found(stack, admin, "--channels")
    assert seen["Channel webhook:erp"]["verdict"] == "good"
    for name, said, fix in (
        ("down", "Connection refused", "start its receiver"),
        ("unknown", "hooks.nowhere.invalid does not resolve", "DNS"),
    ):
        one = seen[f"Channel webhook:{name}"]
        assert (one["verdict"], said in one["said"], fix in one["fix"]) == ("bad", True, True), one
    assert len(stack.receiver.heard) == before + 1

    for status, fix in (
        (404, "does not know this address"),
        (403, "refuses the secret"),
        (429, "rate_limit"),
        (500, "look at its log"),
        (400, "refuses what is sent"),
    ):
        stack.receiver.answer = lambda _heard, status=status: Answer(status)  # type: ignore[misc]
        one = found(stack, admin, "--channels")["Channel webhook:erp"]
        assert (one["verdict"], str(status) in one["said"], fix in one["fix"]) == (
            "bad",
            True,
            True,
        )
    stack.receiver.answer = lambda _heard: Answer()


def test_a_channel_that_somebody_switched_off_hears_nothing(stack: Stack, admin: str) -> None:
    run(stack, "channel", "disable", "erp", key=admin)
    before = len(stack.receiver.heard)
    assert "Channel webhook:erp" not in found(stack, admin, "--channels")
    assert len(stack.receiver.heard) == before
    run(stack, "channel", "enable", "erp", key=admin)


@pytest.mark.parametrize("name", ["", "ingest", "revoked"])
def test_a_key_that_is_missing_or_may_not_is_told_with_what_it_must_be(
    stack: Stack, keys: dict[str, str], name: str
) -> None:
    one = found(stack, {"": "", "revoked": "sk_nobody"}.get(name) or keys.get(name, ""))["Key"]
    assert (one["verdict"], "may `read`" in one["fix"]) == ("bad", True)


def test_to_try_channels_takes_a_key_that_may_write(
    stack: Stack, admin: str, keys: dict[str, str]
) -> None:
    assert "Key" not in found(stack, keys["read"])
    one = found(stack, keys["read"], "--channels")["Key"]
    assert (one["verdict"], "also `write`" in one["fix"]) == ("bad", True)


def test_a_disk_that_is_nearly_full_is_told_with_its_place(stack: Stack, tmp_path: Path) -> None:
    need_namespaces()
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, of util-linux")
    # A file system of a megabyte, which nobody else sees.
    mount = 'mount -t tmpfs -o size=1m none "$0" && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", mount, str(tmp_path)]
    env = {
        "SENTINEL_HOME": str(tmp_path),
        "SENTINEL_URL": stack.api_url,
        "PYTHONPATH": str(CHECKOUT),
    }
    command = [*words, sys.executable, "-P", "-m", "app.cli", "doctor", "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stderr
    disk = next(
        one for one in json.loads(done.stdout) if one["what"] == "Disk" and one["verdict"] == "bad"
    )
    assert f"0.0 GiB free where {tmp_path}" in disk["said"]
    assert "SENTINEL_RETENTION_EVENTS" in disk["fix"]


def test_all_is_well_until_something_is_gone_and_each_is_told_with_its_fix(
    stack: Stack, admin: str
) -> None:
    stack.eventually(lambda: run(stack, "doctor", key=admin).exit_code == 0)
    stack.processes["notifications"].stop()
    one = stack.eventually(lambda: _is_bad(stack, admin, "Workers of notifications"))
    assert "./sentinel up" in one["fix"]
    tried = found(stack, admin, "--channels")["Trial of channels"]
    assert (tried["verdict"], tried["said"]) == ("bad", "nobody sends")

    stack.processes["redis"].kill()
    one = stack.eventually(lambda: _is_bad(stack, admin, "Broker"))
    assert "events are kept" in one["fix"]

    stack.processes["postgres"].kill()
    one = stack.eventually(lambda: _is_bad(stack, admin, "Database"))
    assert "DATABASE_URL" in one["fix"]


def _is_bad(stack: Stack, key: str, what: str) -> dict[str, Any] | None:
    one = found(stack, key).get(what, {})
    return one if one.get("verdict") == "bad" else None
