"""A terminal of 80 columns for a test: tmux, with a bash in it."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from app.cli.local.home import CHECKOUT

COLUMNS, ROWS = 80, 24
SECONDS = 60


def need(program: str) -> None:
    """Skip where it is not installed; in CI it must be."""
    if shutil.which(program) is None and not os.environ.get("CI"):
        pytest.skip(f"needs {program}: apt-get install {program}")


class Terminal:
    """A window in which `sentinel` is on the PATH."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._socket = str(folder / "tmux")
        program = folder / "bin" / "sentinel"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m app.cli "$@"\n')
        program.chmod(0o755)
        path = f"{program.parent}:{os.environ['PATH']}"
        self._env = {
            "PATH": path,
            "PYTHONPATH": str(CHECKOUT),
            "PS1": "$ ",
            "LC_ALL": "C.UTF-8",
            **env,
        }

    def __enter__(self) -> Self:
        words = [f"{name}={value}" for name, value in self._env.items()]
        self._tmux(
            "new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS),
            "env", *words, "bash", "--norc", "--noprofile",
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def run(self, line: str) -> list[str]:
        """What a line of commands leaves on the screen and above it; lines that were wrapped are one again."""
        self._tmux("send-keys", "-l", f"clear; {line}; tmux -S {self._socket} wait-for -S done")
        self._tmux("clear-history")
        self._tmux("send-keys", "Enter")
        self._tmux("wait-for", "done")
        return self.shown()

    def type(self, keys: str, *more: str) -> None:
        """Press keys, and some by their names."""
        self._tmux("send-keys", "-l", keys)
        if more:
            self._tmux("send-keys", *more)

    def shown(self) -> list[str]:
        """All lines, without the blanks at their ends."""
        text = self._tmux("capture-pane", "-p", "-J", "-S", "-")
        return [line.rstrip() for line in text.rstrip().split("\n")]

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, "-f", os.devnull, *words],
            capture_output=True, text=True, check=True, timeout=SECONDS,
        )  # fmt: skip
        return done.stdout
