"""How long `./sentinel up` takes until `/readyz` answers 200: on a new home, and on one that exists."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from app.cli.local.home import CHECKOUT, Home
from app.cli.local.ports import next_free

LONGEST = 120
PORT = 34_000


def measure(runs: int) -> tuple[float, list[float]]:
    """Seconds of the first start, and of `runs` later ones."""
    home = Path(tempfile.mkdtemp(prefix="sentinel-bench-"))
    try:
        return one_start(home), [one_start(home) for _ in range(runs)]
    finally:
        remove(home)


def one_start(home: Path) -> float:
    """Start, wait, stop; seconds until ready."""
    port = next_free(PORT)
    began = time.monotonic()
    up = subprocess.Popen(
        [CHECKOUT / "sentinel", "up", "--port", str(port)],
        env={**os.environ, "SENTINEL_HOME": str(home)},
        stdout=subprocess.DEVNULL,
    )
    try:
        while not is_ready(port):
            if up.poll() is not None or time.monotonic() - began > LONGEST:
                raise SystemExit("sentinel up did not become ready")
            time.sleep(0.02)
        return time.monotonic() - began
    finally:
        up.send_signal(signal.SIGINT)
        up.wait()


def is_ready(port: int) -> bool:
    """Whether the API there calls itself ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return int(answer.status) == 200
    except (OSError, urllib.error.URLError):
        return False


def remove(home: Path) -> None:
    """The home, and what root's lies elsewhere."""
    made = Home(home)
    for folder in {home, made.postgres_data.parent, made.sockets}:
        shutil.rmtree(folder, ignore_errors=True)
