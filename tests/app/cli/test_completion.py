"""What shells are offered when somebody presses Tab."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.__main__ import sentinel
from app.cli.local.home import CHECKOUT
from tests.app.client import Client
from tests.app.helpers import make_rule

LAUNCHER = str(CHECKOUT / "sentinel")
# Calls the function as bash does for the last word of a line, and prints what it offers.
ASK = """
eval "$("$1" completion bash)"
shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
compopt() { echo "compopt $*"; }
_sentinel_completion "$1" "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered(url: str, *line: str, cwd: Path = CHECKOUT) -> list[str]:
    """The choices in a real bash, after a line whose last word is begun."""
    env = {**os.environ, "SENTINEL_URL": url}
    command = ["bash", "--norc", "-c", ASK, "bash", LAUNCHER, *line]
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split("\n")[:-1]


def test_bash_completes_commands_and_options_by_the_name_that_was_typed(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:1"
    assert offered(nowhere, "./sentinel", "rul") == ["rule"]
    assert offered(nowhere, LAUNCHER, "rule", "pro", cwd=tmp_path) == ["promote"]
    assert offered(nowhere, "./sentinel", "tail", "--whe") == ["--where"]
    assert offered(nowhere, "./sentinel", "alert", "list", "--state", "op") == ["open"]


def test_bash_completes_the_names_of_rules_and_channels_as_it_reads_them(
    client: Client, served: str
) -> None:
    make_rule(client, name='Orders "big" & dear')
    config = {"url": "https://example.com/hook"}
    made = client.post("/channels", json={"name": "erp", "kind": "webhook", "config": config})
    assert made.status_code == 201, made.text
    assert offered(served, "./sentinel", "rule", "show", "Or") == [r"Orders\ \"big\"\ \&\ dear"]
    assert offered(served, "./sentinel", "rule", "show", "'Or") == ['Orders "big" & dear']
    assert offered(served, "./sentinel", "event", "why", "--rule", "Orders\\ ") != [""]
    assert offered(served, "./sentinel", "channel", "test", "") == ["erp"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "no address"])
def test_bash_is_offered_nothing_where_no_server_answers(url: str) -> None:
    assert offered(url, "./sentinel", "rule", "show", "Or") == [""]


@pytest.mark.parametrize(("shell", "check"), [("zsh", ["-n"]), ("fish", ["--no-execute"])])
def test_the_scripts_of_other_shells_call_this_launcher(
    shell: str, check: list[str], tmp_path: Path
) -> None:
    script = CliRunner().invoke(sentinel, ["completion", shell], prog_name="sentinel").stdout
    assert f"{shell}_complete" in script
    assert f"'{LAUNCHER}' 2>/dev/null)" in script
    assert "$+commands" not in script
    if shutil.which(shell):
        file = tmp_path / "script"
        file.write_text(script)
        assert subprocess.run([shell, *check, str(file)], check=False).returncode == 0
