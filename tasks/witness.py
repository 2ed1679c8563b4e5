"""The witness: which event each process of a pool is judging, in memory that outlives the process.

Whoever finds the process dead reads who did it, and everybody else it held is innocent. A process that dies beside a
judgement, when it loads or records, leaves no name. Where rules are asked one by one, theirs stands beside the event's.
"""

import mmap
from typing import Final, NamedTuple
from uuid import UUID

from billiard import current_process

_UUID: Final = 16
_SLOT: Final = 3 * _UUID
# One for each process of a pool: holder, event and rule version; larger pools go without for those beyond.
_SLOTS: Final = 256
_NOBODY: Final = bytes(_UUID)
_NOTHING: Final = 2 * _NOBODY
# Anonymous and shared: made before the pool forks, it is the same memory in all its processes.
_memory = mmap.mmap(-1, _SLOTS * _SLOT)


class Culprit(NamedTuple):
    """An event that was being judged, and the rule version that was asked about it, where that is known."""

    event: UUID
    version: UUID | None


def enter(holder: UUID) -> None:
    """Begin a message."""
    _write(0, holder.bytes + _NOTHING)


def judging(event_id: UUID) -> None:
    """Say whose judgement begins."""
    _write(_UUID, event_id.bytes)


def asking(version_id: UUID) -> None:
    """Say which rule version is asked about that event."""
    _write(2 * _UUID, version_id.bytes)


def leave() -> None:
    """Say that no event is being judged."""
    _write(_UUID, _NOTHING)


def culprit(holder: UUID) -> Culprit | None:
    """What was being judged under a message when its process died, if anything was."""
    for start in range(0, len(_memory), _SLOT):
        if _memory[start : start + _UUID] == holder.bytes:
            event, version = _named(start + _UUID), _named(start + 2 * _UUID)
            return None if event is None else Culprit(event, version)
    return None


def _named(start: int) -> UUID | None:
    found = _memory[start : start + _UUID]
    return None if found == _NOBODY else UUID(bytes=found)


def _write(offset: int, value: bytes) -> None:
    index = getattr(current_process(), "index", _SLOTS)
    if index < _SLOTS:
        start = index * _SLOT + offset
        _memory[start : start + len(value)] = value
