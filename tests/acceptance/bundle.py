"""The console's sources beside their packages, in a folder of their own: what `npm ci` and the build make of them."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from app.console.assets import FOLDER

SOURCES: Final = FOLDER.parent
# Neither what stands in the checkout already nor what is to be made anew.
LEFT_OUT: Final = shutil.ignore_patterns("node_modules", "dist")
SECONDS: Final = 300


def unpacked(folder: Path) -> Path:
    """A copy of the sources with the packages that the lock names, and of these no script run."""
    if shutil.which("npm") is None and not os.environ.get("CI"):
        pytest.skip("needs npm: apt-get install npm")
    shutil.copytree(SOURCES, folder, ignore=LEFT_OUT, dirs_exist_ok=True)
    done = npm(folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"needs the npm registry or its cache: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    return folder


def npm(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command of npm."""
    return subprocess.run(
        ["npm", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        stdin=subprocess.DEVNULL,
    )
