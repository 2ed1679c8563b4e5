"""Commands whose input or output is closed, full, or speaks another encoding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.local.home import CHECKOUT

RULE = 'rule "日本 – ü" when a > 5 and a < 2 then notify("slack:#a")\n'
FULL = Path("/dev/full")


def run(shell: str, said: str = "", **env: str) -> subprocess.CompletedProcess[bytes]:
    """A line of a shell in which `sentinel` is the command."""
    line = f'sentinel() {{ "{sys.executable}" -P -m app.cli "$@"; }}\n{shell}'
    return subprocess.run(
        ["/bin/sh", "-c", line],
        input=said.encode(),
        env={
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "SENTINEL_URL": "http://127.0.0.1:1",
            **env,
        },
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_what_an_encoding_lacks_is_replaced() -> None:
    rules = RULE + RULE.replace("ü", "ö")
    done = run("sentinel rule lint -", rules, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (1, b"")
    assert 'hears twice: the condition of "?? ? ü"'.encode("latin-1") in done.stdout


def test_rules_are_utf_8_whatever_the_output_is() -> None:
    sigma = "{title: 日本, detection: {a: {x: ü}, condition: a}, logsource: {product: p}}"
    done = run("sentinel convert sigma -", sigma, PYTHONIOENCODING="latin-1:strict")
    assert "日本".encode() in done.stdout, done.stderr


@pytest.mark.skipif(not FULL.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("streams", ["> /dev/full", "> /dev/full 2> /dev/full"])
@pytest.mark.parametrize("buffered", ["", "1"])
def test_an_output_that_is_full_is_a_failure_that_is_told_where_it_can_be(
    streams: str, buffered: str
) -> None:
    for command in ("--help", "doctor --json"):
        done = run(f"sentinel {command} {streams}", PYTHONUNBUFFERED=buffered)
        told = b"" if "2>" in streams else b"sentinel: cannot write: No space left on device\n"
        assert (done.returncode, done.stderr) == (1, told)


@pytest.mark.parametrize(
    "words",
    [
        "rule lint -",
        "rule backtest -",
        "event show -",
        "event why -",
        "send -",
        "channel create a webhook -",
    ],
)
def test_an_input_that_is_closed_is_told(words: str) -> None:
    done = run(f"sentinel {words} <&-")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr in (b"standard input is closed\n", b"sentinel: standard input is closed\n")


def test_outputs_that_are_closed_are_not_written_to() -> None:
    assert run("sentinel doctor >&-").stderr == b""
    done = run("sentinel doctor --json 2>&-")
    assert json.loads(done.stdout)


def test_an_id_that_is_no_utf_8_is_none() -> None:
    done = run("printf '\\344' | sentinel event show -")
    assert (done.returncode, b"is no event's id" in done.stderr) == (2, True), done.stderr
