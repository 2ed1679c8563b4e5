"""`./sentinel up` by somebody who is not root, on the system's Python, from nothing."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cli.local.home import CHECKOUT
from tests.acceptance.ports import free_port
from tests.acceptance.stack import OWN

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(os.geteuid() != 0, reason="every other test runs as a plain user already"),
]
PYTHON = "/usr/bin/python3"
USER = "nobody"
SECONDS = 300


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A clean copy where a plain user can reach and write it."""
    folder = Path("/tmp") / f"sentinel-plain-{os.getpid()}"
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=CHECKOUT, capture_output=True, check=True
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (CHECKOUT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, folder / name)
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, USER)
    yield folder
    shutil.rmtree(folder)


def has_system_python() -> bool:
    probe = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    return (
        Path(PYTHON).exists()
        and not subprocess.run([PYTHON, "-c", probe], capture_output=True).returncode
    )


def test_a_plain_user_gets_a_whole_sentinel_that_leaves_nothing_behind(checkout: Path) -> None:
    if not has_system_python():
        pytest.skip(f"{PYTHON} is older than 3.11 or has no venv")
    output = checkout / "up.out"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    with output.open("wb") as out:
        up = subprocess.Popen(
            [PYTHON, checkout / "sentinel", "up", "--port", str(free_port())],
            env={**clean, "HOME": str(checkout), "PATH": "/usr/bin:/bin"},
            cwd=checkout,
            user=USER,
            group=pwd.getpwnam(USER).pw_gid,
            extra_groups=[],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(up, output)
    finally:
        up.send_signal(signal.SIGINT)
        code = up.wait(60)
    assert code == 0
    assert not (checkout / ".sentinel" / "postgres" / "postmaster.pid").exists()


def wait_for(up: "subprocess.Popen[bytes]", output: Path) -> None:
    deadline = time.monotonic() + SECONDS
    # It may be writing just now.
    while "Ctrl-C stops" not in (said := output.read_text(encoding="utf-8", errors="replace")):
        assert up.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.2)
