"""The folders and secrets of one local Sentinel.

All lies in `SENTINEL_HOME`, mode 0700, except two things. Sockets have paths that must stay short
(108 bytes in all), so they get a folder under `/run` or `/tmp`. And PostgreSQL refuses to run as
root: there it runs as `nobody`, who cannot look into root's folders, so its data lies under
`/var/lib/sentinel`.
"""

import fcntl
import hashlib
import os
import pwd
import secrets
import stat
import time
from base64 import urlsafe_b64encode
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from app.cli.local.errors import LocalError

CHECKOUT = Path(__file__).resolve().parents[3]
SHARED_BY_ROOT = Path("/var/lib/sentinel")
PRIVATE = 0o700
A_LOOK = 0.5


@dataclass(frozen=True)
class User:
    """An account of the operating system."""

    name: str
    uid: int
    gid: int

    @classmethod
    def current(cls) -> "User":
        try:
            return cls._of(pwd.getpwuid(os.geteuid()))
        except KeyError:
            raise LocalError(
                f"user {os.geteuid()} has no name here, and PostgreSQL needs one; set DATABASE_URL."
            ) from None

    @classmethod
    def for_postgres(cls) -> "User":
        """Who runs PostgreSQL: the caller, or `nobody` where the caller is root."""
        return cls.current() if os.geteuid() else cls._of(pwd.getpwnam("nobody"))

    def take(self, path: Path) -> None:
        """Make `path` this user's; only root can, and only root needs to."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid)

    @classmethod
    def _of(cls, entry: pwd.struct_passwd) -> "User":
        return cls(entry.pw_name, entry.pw_uid, entry.pw_gid)


class Home:
    """`SENTINEL_HOME`, locked by the one `up` that uses it."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.key = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:12]
        self.logs = self.path / "logs"
        self.redis_data = self.path / "redis"
        self.postgres_user = User.for_postgres()
        state = self.path if os.geteuid() else SHARED_BY_ROOT / self.key
        self.postgres_data = state / "postgres"
        self.sockets = _socket_base() / f"sentinel-{os.geteuid()}-{self.key}"
        self.renewed = self.path / "renewed"
        self._lock: int | None = None

    @classmethod
    def from_env(cls) -> "Home":
        return cls(Path(os.environ.get("SENTINEL_HOME") or CHECKOUT / ".sentinel"))

    def lock(self, *, up: bool = True) -> None:
        """Make the home and hold it; the kernel frees it however this process ends. An `up` alone tells its pid."""
        try:
            self.path.mkdir(PRIVATE, parents=True, exist_ok=True)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            _take(self._lock)
            # What the one before has told holds no more.
            for told in (self.path / "url", self.renewed):
                told.unlink(missing_ok=True)
        except BlockingIOError:
            raise LocalError(
                f"another `./sentinel up` runs on {self.path} (pid {self._holder()}). "
                "Stop it, or set SENTINEL_HOME."
            ) from None
        except OSError as error:
            raise LocalError(f"cannot use SENTINEL_HOME {self.path}: {error.strerror}") from error
        os.ftruncate(self._lock, 0)
        if up:
            os.pwrite(self._lock, str(os.getpid()).encode(), 0)

    def unlock(self) -> None:
        """Let go; the empty file stays, since removing it would let two hold it at once."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None

    def prepare(self) -> None:
        """The folders inside, each for the one who writes there."""
        self.path.chmod(PRIVATE)
        for folder in (self.logs, self.redis_data):
            folder.mkdir(PRIVATE, exist_ok=True)
        if self.postgres_data.parent != self.path:
            SHARED_BY_ROOT.mkdir(0o755, parents=True, exist_ok=True)
            private_folder(self.postgres_data.parent, self.postgres_user)
        private_folder(self.sockets, self.postgres_user)

    def secret(self, name: str, size: int = 32) -> str:
        """Random bytes in URL-safe base64 (32 are a Fernet key), made on first use and kept."""
        file = self.path / name
        if not file.exists():
            self.path.mkdir(PRIVATE, parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self.path) as fresh:
                fresh.write(urlsafe_b64encode(secrets.token_bytes(size)))
                fresh.flush()
                # Another process may have made one meanwhile: the first stays.
                with suppress(FileExistsError):
                    os.link(fresh.name, file)
        return file.read_text(encoding="ascii").strip()

    def tell(self, url: str) -> None:
        """Leave word of where the API is, for commands; it holds as long as the lock."""
        (self.path / "url").write_text(url, encoding="utf-8")

    def url(self) -> str | None:
        """Where the API of the `up` is that holds this home now."""
        with suppress(OSError):
            if self.holder():
                return (self.path / "url").read_text(encoding="utf-8")
        return None

    def holder(self) -> int | None:
        """The pid of the `up` that holds this home now."""
        try:
            with (self.path / "lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = self._holder()
            return int(text) if text.isdigit() else None
        except OSError:
            pass
        return None

    def _holder(self) -> str:
        return (self.path / "lock").read_text(encoding="ascii").strip() or "unknown"


def _take(lock: int) -> None:
    """Lock it for one alone; commands that look for a holder hold it themselves, for a moment."""
    deadline = time.monotonic() + A_LOOK
    while True:
        last = time.monotonic() > deadline
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if last:
                raise
        time.sleep(0.01)


def private_folder(folder: Path, owner: User) -> None:
    """A folder that `owner` alone can enter; somebody else's of that name is refused."""
    try:
        folder.mkdir(PRIVATE)
        owner.take(folder)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner.uid, os.geteuid()):
            raise LocalError(
                f"{folder} belongs to somebody else; remove it, or set another SENTINEL_HOME."
            ) from None
        owner.take(folder)
        folder.chmod(PRIVATE)
    except OSError as error:
        raise LocalError(f"cannot make {folder}: {error.strerror}") from error


def _socket_base() -> Path:
    """The shortest folder that is emptied at boot and that PostgreSQL's user can reach."""
    own = Path("/run") if os.geteuid() == 0 else Path(f"/run/user/{os.geteuid()}")
    return own if os.access(own, os.W_OK) else Path("/tmp")  # noqa: S108 - private_folder() checks what it finds there
