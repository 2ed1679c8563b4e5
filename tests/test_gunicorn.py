"""The API's own metrics are in memory: what is mapped from a file on a full disk ends the process that writes there."""

import os
import runpy
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.test_compose import ROOT

MEMORY = Path("/dev/shm")
PLACE = MEMORY if MEMORY.is_dir() else Path(tempfile.gettempdir())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SENTINEL_HOME", str(tmp_path))
    for name in ("PROMETHEUS_MULTIPROC_DIR", "SENTINEL_METRICS_OWNER"):
        # So that it is gone again afterwards.
        monkeypatch.setenv(name, "")
    return tmp_path


def read() -> dict[str, Any]:
    """The settings, as gunicorn reads them."""
    return runpy.run_path(str(ROOT / "deploy" / "gunicorn.conf.py"))


def test_metrics_are_in_memory_and_leave_nothing_there(home: Path) -> None:
    settings = read()
    folder = Path(os.environ["PROMETHEUS_MULTIPROC_DIR"])
    assert folder.parent == PLACE
    assert folder.stat().st_mode & 0o777 == 0o700
    # When the settings are read anew the files are those of before.
    (folder / "counter_1.db").touch()
    read()
    assert (folder / "counter_1.db").exists()
    settings["on_exit"](None)
    assert not folder.exists()


def test_what_a_killed_master_left_in_memory_goes_with_the_next_start(home: Path) -> None:
    with subprocess.Popen(["true"]) as ended:
        pass
    left = PLACE / f"sentinel-metrics-{ended.pid}-left"
    left.mkdir()
    read()["on_exit"](None)
    assert not left.exists()


def test_metrics_are_where_they_are_wanted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = home / "wanted"
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(wanted))
    read()["on_exit"](None)
    assert wanted.is_dir()
