"""Processor time that a process and its children have had: beside other programs it says more than the clock does."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def spent(*pids: int) -> float:
    """Seconds, of each process and of those that it has forked and that live."""
    return sum(_own(each) for pid in pids for each in (pid, *_children(pid)))


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(each) for each in text.split()]


def _own(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS
