"""The API's unit as systemd would run it: behind its socket, saying when it is ready."""

import os
import socket
import sys
from pathlib import Path

import pytest
import requests

from app.cli.local.process import Child, Spec, last_lines
from tests.acceptance.ports import free_port
from tests.acceptance.stack import Stack
from tests.test_deploy import API

pytestmark = pytest.mark.acceptance
ACTIVATE = Path("/usr/bin/systemd-socket-activate")


def test_connections_to_the_apis_socket_wait_until_it_is_ready(tmp_path: Path) -> None:
    if not ACTIVATE.exists() and not os.environ.get("CI"):
        pytest.skip("needs systemd's tools: apt-get install systemd")
    port = free_port()
    entry = (sys.executable, "deploy/entrypoint.py", *API)
    with Stack(start=()) as stack, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(60)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        own = {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "PATH": path,
            "PYTHONPATH": str(Path.cwd()),
        }
        env = {**stack.env, **own}
        passed = [f"--setenv={name}" for name in env]
        activate = (str(ACTIVATE), f"--listen=127.0.0.1:{port}", *passed)
        api = Child(Spec("api", (*activate, *entry), tmp_path / "log", env=env))
        try:
            stack.eventually(lambda: "Listening on" in last_lines(tmp_path / "log", 9))
            # The first connection starts it, and waits meanwhile.
            assert requests.get(f"http://127.0.0.1:{port}/readyz", timeout=60).status_code == 200
            assert told.recv(1000).startswith(b"READY=1")
        finally:
            api.kill()
            api.wait(10)
