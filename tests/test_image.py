"""The image is smaller than 250 MB, by what its Dockerfile puts into it; no container engine is needed to know."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
MB = 1_000_000
LIMIT = 250 * MB
# python:3.11-slim for linux/amd64 of August 2026, by github.com/docker-library/repo-info: 124.84 MB.
BASE = 125 * MB
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*==.*?) *\\?$", re.MULTILINE)


def packages() -> Iterator[Path]:
    """The files that pip installs from the lock and the Dockerfile does not remove; the compiler writes others."""
    [line] = re.findall(r"&& rm -r (.*)$", DOCKERFILE, re.MULTILINE)
    removed = tuple(f"{folder}/" for folder in line.split())
    for pin in PIN.findall((ROOT / "requirements.txt").read_text(encoding="utf-8")):
        wanted = Requirement(pin)
        if wanted.marker is None or wanted.marker.evaluate():
            found = distribution(wanted.name)
            assert found.version in wanted.specifier, wanted
            for file in found.files or ():
                if file.suffix != ".pyc" and not str(file).startswith(removed):
                    yield Path(str(file.locate())).resolve()


def house() -> Iterator[Path]:
    """What `.dockerignore` lets through."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for line in lines:
        if line.startswith("!"):
            path = ROOT / line[1:]
            yield from path.rglob("*") if path.is_dir() else [path]


def is_sent(path: Path) -> bool:
    return path.is_file() and not {"__pycache__", "node_modules"} & set(path.parts)


def size(files: Iterator[Path]) -> int:
    return sum(file.stat().st_size for file in set(files))


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the last step of the build writes, here in a folder of its own."""
    folder = tmp_path_factory.mktemp("bytecode")
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(folder)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-P", "deploy/bytecode.py"]
    subprocess.run(command, cwd=ROOT, env=env, check=True, timeout=120)
    return folder


def test_the_image_has_less_than_250_mb(bytecode: Path) -> None:
    sizes = {
        "packages": size(packages()),
        "house": size(filter(is_sent, house())),
        "bytecode": size(bytecode.rglob("*.pyc")),
    }
    print({name: f"{value / MB:.1f} MB" for name, value in sizes.items()})
    assert all(value > MB for value in sizes.values()), sizes
    assert BASE + sum(sizes.values()) < LIMIT, sizes


def test_nothing_that_the_dockerfile_removes_is_loaded(bytecode: Path) -> None:
    [line] = re.findall(r"&& rm -r (.*)$", DOCKERFILE, re.MULTILINE)
    written = [str(file) for file in bytecode.rglob("*.pyc")]
    for folder in line.split():
        assert [file for file in written if f"/site-packages/{folder}/" in file] == []
        assert any((Path(place) / folder).is_dir() for place in sys.path), folder


def test_all_of_the_house_has_bytecode(bytecode: Path) -> None:
    written = bytecode / str(ROOT).lstrip("/")
    for package in ("app", "tasks", "rules_dsl"):
        for source in (ROOT / package).rglob("*.py"):
            compiled = written / source.relative_to(ROOT).parent
            assert list(compiled.glob(f"{source.stem}.cpython-*.pyc")), source
