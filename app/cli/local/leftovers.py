"""Processes that an `up` on the same home has left behind: killed outright, it could not stop them
itself.

Each child carries the home in its environment, which tells ours from everybody else's. PostgreSQL
and Redis overwrite theirs; one keeps its pid in its data folder, the other its socket in its title.
"""

import contextlib
import os
import signal
import time
from pathlib import Path

from app.cli.local.home import Home
from app.cli.local.process import MARK
from app.cli.local.redis import SOCKET

PATIENCE = 15


def end_leftovers(home: Home) -> None:
    """Tell all of them to end, and kill those that do not; only for the holder of the lock."""
    began = time.monotonic()
    told: set[int] = set()
    while found := ours(home):
        late = time.monotonic() - began > PATIENCE
        for pid in found if late else found.keys() - told:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if late else found[pid])
        told |= found.keys()
        time.sleep(0.1)
    (home.postgres_data / "postmaster.pid").unlink(missing_ok=True)


def ours(home: Home) -> dict[int, signal.Signals]:
    """Their pids, each with the signal that ends it well."""
    pids = {int(entry.name) for entry in Path("/proc").glob("[0-9]*")} - {os.getpid()}
    found = {pid: signal.SIGTERM for pid in pids if _is_marked(pid, home) or _is_redis(pid, home)}
    return found | dict.fromkeys(_postmaster(home.postgres_data), signal.SIGINT)


def _is_marked(pid: int, home: Home) -> bool:
    return f"{MARK}={home.path}".encode() in _read(Path(f"/proc/{pid}/environ")).split(b"\0")


def _is_redis(pid: int, home: Home) -> bool:
    title = _read(Path(f"/proc/{pid}/cmdline"))
    return b"-server" in title and os.fsencode(home.sockets / SOCKET) in title


def _postmaster(data: Path) -> set[int]:
    """The pid in the data folder, if it is still that of a server on this folder."""
    text = _read(data / "postmaster.pid").decode(errors="replace")
    pid = text.partition("\n")[0].strip()
    if not pid.isdigit():
        return set()
    command = _read(Path(f"/proc/{pid}/cmdline"))
    return {int(pid)} if os.fsencode(data) in command else set()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""
