"""Standard input, output and errors, whatever whoever started the command has made of them."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, TextIO, cast

import click

from app.cli.local.errors import LocalError

STRICT: Final = "strict"
# What writing meets, and reading never.
FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def prepare() -> None:
    """Let letters that an encoding lacks be replaced, and streams that are closed be said to be that."""
    # Python has None where a stream is closed.
    given: tuple[TextIO | None, ...] = (sys.stdin, sys.stdout, sys.stderr)
    if given[0] is None:
        sys.stdin = io.TextIOWrapper(io.BufferedReader(cast(Any, _Closed())), encoding="utf-8")
    if given[1] is None:
        sys.stdout = _nowhere()
    if given[2] is None:
        sys.stderr = _nowhere()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == STRICT:
            stream.reconfigure(errors="replace")


@contextmanager
def written() -> Iterator[None]:
    """Say in one sentence that what was asked for cannot be written, as on a full disk; exits with 1."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        with suppress(OSError):
            click.echo(f"sentinel: cannot write: {error.strerror}", err=True)
        for stream in (sys.stdout, sys.stderr):
            _give_up(stream)
        sys.exit(1)


def _give_up(stream: TextIO) -> None:
    """Let what waits in a stream that is full go nowhere; it would fail again as the interpreter ends."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


class _Closed(io.RawIOBase):
    """Nothing, which says so when it is read."""

    name = "<stdin>"

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: object) -> int:
        raise LocalError("standard input is closed")
