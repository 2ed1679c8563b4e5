"""The witness: which event each process of a pool is judging, in memory that outlives the process.

Whoever finds the process dead reads who did it, and everybody else it held is innocent. A process that dies beside a
judgement, when it loads or records, leaves no name.
"""

import mmap
from typing import Final
from uuid import UUID

from billiard import current_process

_UUID: Final = 16
_SLOT: Final = 2 * _UUID
# One for each process of a pool, holder and event; larger pools go without for those beyond.
_SLOTS: Final = 256
_NOBODY: Final = bytes(_UUID)
# Anonymous and shared: made before the pool forks, it is the same memory in all its processes.
_memory = mmap.mmap(-1, _SLOTS * _SLOT)


def enter(holder: UUID) -> None:
    """Begin a message."""
    _write(0, holder.bytes + _NOBODY)


def judging(event_id: UUID) -> None:
    """Say whose judgement begins."""
    _write(_UUID, event_id.bytes)


def leave() -> None:
    """Say that no event is being judged."""
    _write(_UUID, _NOBODY)


def culprit(holder: UUID) -> UUID | None:
    """The event that was being judged under a message when its process died, if one was."""
    for start in range(0, len(_memory), _SLOT):
        if _memory[start : start + _UUID] == holder.bytes:
            event = _memory[start + _UUID : start + _SLOT]
            return None if event == _NOBODY else UUID(bytes=event)
    return None


def _write(offset: int, value: bytes) -> None:
    index = getattr(current_process(), "index", _SLOTS)
    if index < _SLOTS:
        start = index * _SLOT + offset
        _memory[start : start + len(value)] = value
