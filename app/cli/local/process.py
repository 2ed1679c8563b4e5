"""One child process: how it is started, that it dies with us, and how it is stopped.

Every child leads a session of its own, so that Ctrl-C in the terminal reaches only the supervisor,
which then stops the children in their order. Should the supervisor be killed outright, the kernel
signals each child (Linux).
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from app.cli.local.home import CHECKOUT, User

MARK = "SENTINEL_LOCAL_HOME"
LOG_LIMIT = 10 * 1024 * 1024
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True)
class Spec:
    """What to run, and which signals end it."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: Path = CHECKOUT
    user: User | None = None
    stop: signal.Signals = signal.SIGTERM
    orphan: signal.Signals = signal.SIGTERM
    patience: float = 30
    essential: bool = True
    once: bool = False
    keep_open: tuple[int, ...] = ()


class Child:
    """A running `Spec`."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.started = time.monotonic()
        self._told: float | None = None
        self._process = _spawn(spec)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def forks(self) -> list[int]:
        """The pids that it has forked: pool processes, gunicorn's workers (Linux)."""
        try:
            text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text(encoding="ascii")
        except OSError:
            return []
        return [int(pid) for pid in text.split()]

    @property
    def exit_code(self) -> int | None:
        """How it ended, or None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process itself."""
        self._process.send_signal(number)

    def end(self) -> None:
        """Tell it to end; only once, since some take a second signal as the wish to hurry."""
        if self._told is None:
            self._told = time.monotonic()
            self.signal(self.spec.stop)

    def is_late(self, patience: float) -> bool:
        """Whether it was told to end longer ago than that."""
        return self._told is not None and time.monotonic() - self._told > patience

    def kill(self) -> None:
        """SIGKILL to the process and to what it has forked."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()

    def sweep(self) -> None:
        """End what an ended process has left behind in its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Whether it ended within `seconds`."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True


def _spawn(spec: Spec) -> subprocess.Popen[bytes]:
    with _open_log(spec.log) as log:
        return subprocess.Popen(  # noqa: S603 - fixed words
            spec.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=spec.cwd,
            env=dict(spec.env),
            start_new_session=True,
            pass_fds=spec.keep_open,
            preexec_fn=_dies_with_parent(spec.orphan),
            user=spec.user.uid if spec.user else None,
            group=spec.user.gid if spec.user else None,
            extra_groups=[] if spec.user else None,
        )


def _open_log(path: Path) -> BinaryIO:
    """The log, appended to; one that has grown too long becomes `.old` first."""
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".old.log"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _dies_with_parent(orphan: signal.Signals) -> Callable[[], None] | None:
    """Runs between fork and exec, after the change of user, which would make the kernel forget."""
    if _prctl is None:
        return None
    prctl, parent = _prctl, os.getpid()

    def ask_kernel() -> None:
        prctl(_PR_SET_PDEATHSIG, int(orphan))
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


def adopt_orphans() -> None:
    """Become the parent of whatever a child leaves behind."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log, for a message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"    {line}" for line in lines[-count:])
