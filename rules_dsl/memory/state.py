"""States: what is remembered of one rule under one key, and how it is kept.

A saved state is a version, a JSON head and the columns behind it as plain machine numbers, so that to load
and save it costs little more than to copy it. Everything in it is bounded: by the time that windows reach
back, and by a cap on the entries.
"""

import json
import sys
from array import array
from collections.abc import Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from rules_dsl.memory.log import Log
from rules_dsl.memory.plan import Plan
from rules_dsl.memory.recent import Recent
from rules_dsl.memory.sequence import Candidate, Pending
from rules_dsl.memory.sums import ExactSum
from rules_dsl.memory.windows import RUNNING, Cursor

VERSION: Final = 1
_FAST: Final = bytes((VERSION,))
_WIDE: Final = bytes((VERSION | 128,))
NEVER: Final = -(2**62)
Keys: TypeAlias = Mapping[str, str]


class Cause(NamedTuple):
    """An event that something is about: its time, its id, and the keys that clauses made of it."""

    time: int
    id: bytes | None
    keys: Keys


class Kept(NamedTuple):
    """A match that waits for the time of `during`, or a whole group of them."""

    cause: Cause
    key: str
    rounds: int
    kind: str


class State:
    """What one rule remembers under one key."""

    __slots__ = (
        "absent_due", "alert_time", "candidates", "changed", "cursors", "dropped", "due", "falsified",
        "group", "group_due", "group_rounds", "held", "held_due", "last", "latest", "logs", "matches",
        "pending", "recent", "resolve_due", "rounds", "since", "spell_due",
    )  # fmt: skip

    def __init__(self, plan: Plan | None) -> None:
        self.changed = True
        self.due: int | None = None  # the earliest of its timers
        self.dropped = 0  # entries that the cap has cost
        self.latest = NEVER  # the time of the newest event
        self.recent = Recent()
        if plan is not None:  # a saved one brings its own
            self.logs = [Log(None, array(column) if column else None) for column in plan.columns]
            self.cursors = [Cursor() if each.function in RUNNING else None for each in plan.windows]
        self.candidates: list[Candidate] = []
        self.pending: list[Pending] = []
        self.last: Cause | None = None  # the last event that `for` or `absent` knows
        self.since: int | None = None  # from when on a condition with `for` has been true
        self.falsified = NEVER  # when it was last false
        self.spell_due: int | None = None
        self.absent_due: int | None = None
        self.matches = 0  # of the open alert; 0 when none is open
        self.alert_time = NEVER  # the event time of its last match
        self.resolve_due: int | None = None
        self.rounds: list[int] = []  # when somebody was notified, for `throttle`
        self.group: Cause | None = None  # the last match of the open group
        self.group_rounds = 0
        self.group_due: int | None = None
        self.held: list[Kept] = []
        self.held_due: int | None = None

    def settle(self) -> None:
        """Note a change, and which timer comes first."""
        timers = (self.spell_due, self.absent_due, self.resolve_due, self.group_due, self.held_due)
        first = [each for each in timers if each is not None]
        if self.pending:
            first.append(min(each.due for each in self.pending))
        self.due = min(first) if first else None
        self.changed = True

    @property
    def clause_keys(self) -> list[Keys]:
        """The keys that clauses made of the events that its timers are about."""
        causes = [self.last, self.group, *(each.cause for each in self.held)]
        return [*(each.keys for each in causes if each), *(each.keys for each in self.pending)]

    def close(self) -> None:
        """End the alert, as a person does by hand; what windows remember stays."""
        self.matches = 0
        self.alert_time = NEVER
        self.resolve_due = None
        self.settle()

    def retire(self, at: int) -> None:
        """Let the condition come to nothing after a time; what has matched still goes its way."""
        self.pending = [each for each in self.pending if each.due <= at]
        for name in ("spell_due", "absent_due", "resolve_due"):
            due = getattr(self, name)
            if due is not None and due > at:
                setattr(self, name, None)
        self.settle()

    def pack(self) -> bytes:
        """The state as it is kept."""
        columns: list[Any] = [self.recent.times, self.recent.marks]
        head: dict[str, Any] = {
            name: value
            for name, before in _PLAIN.items()
            if (value := getattr(self, name)) != before
        }
        head["ids"] = len(self.recent.ids)
        head["logs"] = [_head_of(log, columns) for log in self.logs]
        head["cursors"] = [_head_of_cursor(each) for each in self.cursors]
        if self.candidates:
            head["candidates"] = [(*each[:1], each.id.hex(), *each[2:]) for each in self.candidates]
        if self.pending:
            head["pending"] = [(*each[:2], each.id.hex(), *each[3:]) for each in self.pending]
        head |= {name: _cause(each) for name in ("last", "group") if (each := getattr(self, name))}
        if self.held:
            head["held"] = [(_cause(each.cause), *each[1:]) for each in self.held]
        version, text = _written(head)
        size = len(text).to_bytes(4, "little")
        return b"".join((version, size, text, *self.recent.ids, *map(_bytes_of, columns)))

    @classmethod
    def unpack(cls, data: bytes) -> "State":
        """A state from what `pack` gave; ValueError when another version gave it."""
        start = 5 + int.from_bytes(data[1:5], "little")
        head = _read(data[:1], data[5:start])
        state = cls(None)
        for name, value in head.items():
            if name in _PLAIN:
                setattr(state, name, value)
        reader = _Reader(data, start)
        count = head["ids"]
        ids = reader.take(16 * count)
        recent = state.recent
        recent.ids = [ids[at : at + 16] for at in range(0, 16 * count, 16)]
        recent.times, recent.marks = reader.column("q", count), reader.column("b", count)
        state.logs = [_log(each, reader) for each in head["logs"]]
        state.cursors = [each and Cursor(each[0], each[1], _sum(each)) for each in head["cursors"]]
        if "candidates" in head:
            state.candidates = [Candidate(t, _id(i), s, k) for t, i, s, k in head["candidates"]]
        if "pending" in head:
            state.pending = [
                Pending(due, last, _id(i), keys, names)
                for due, last, i, keys, names in head["pending"]
            ]
        state.last, state.group = _caused(head.get("last")), _caused(head.get("group"))
        if "held" in head:
            state.held = [
                Kept(_made(cause), key, rounds, kind) for cause, key, rounds, kind in head["held"]
            ]
        state.settle()
        state.changed = False
        return state


class _Reader:
    """Bytes, read from left to right."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self._at = at

    def take(self, size: int) -> bytes:
        """The next bytes."""
        self._at += size
        return self._data[self._at - size : self._at]

    def column(self, code: str, count: int) -> Any:
        """The next numbers."""
        column = array(code, self.take(count * _SIZES[code]))
        if sys.byteorder == "big":
            column.byteswap()
        return column


def _head_of(log: Log, columns: list[Any]) -> Any:
    columns.append(log.times)
    if isinstance(log.values, array):
        columns.append(log.values)
        return [len(log), log.values.typecode]
    return [len(log), log.values]


def _log(head: list[Any], reader: _Reader) -> Log:
    count, values = head
    times = reader.column("q", count)
    return Log(times, reader.column(values, count) if type(values) is str else values)


def _head_of_cursor(cursor: Cursor | None) -> Any:
    if cursor is None:
        return None
    return [cursor.low, cursor.high, format(cursor.total.units, "x"), cursor.total.shift]


def _sum(head: list[Any]) -> ExactSum:
    return ExactSum(int(head[2], 16), head[3])


def _bytes_of(column: Any) -> bytes:
    if sys.byteorder == "big":
        column = array(column.typecode, column)
        column.byteswap()
    saved: bytes = column.tobytes()
    return saved


def _cause(cause: Cause) -> list[Any]:
    return [cause.time, cause.id.hex() if cause.id else None, dict(cause.keys)]


def _caused(saved: Any) -> Cause | None:
    return _made(saved) if saved else None


def _made(saved: Any) -> Cause:
    return Cause(saved[0], _id(saved[1]) if saved[1] else None, saved[2])


_id: Final = bytes.fromhex
_SIZES: Final = {code: array(code).itemsize for code in "qdb"}
# What is kept as it is, with what it is when nothing has happened.
_PLAIN: Final[dict[str, object]] = {
    "dropped": 0, "latest": NEVER, "since": None, "falsified": NEVER, "spell_due": None,
    "absent_due": None, "matches": 0, "alert_time": NEVER, "resolve_due": None, "rounds": [],
    "group_rounds": 0, "group_due": None, "held_due": None,
}  # fmt: skip
_dumps: Final = json.JSONEncoder(separators=(",", ":")).encode


def _written(head: dict[str, Any]) -> tuple[bytes, bytes]:
    """A head and which of the two JSON libraries it needs: the fast one has no numbers past 64 bits."""
    try:
        return _FAST, orjson.dumps(head)
    except TypeError:
        return _WIDE, _dumps(head).encode()


def _read(version: bytes, text: bytes) -> Any:
    if version == _FAST:
        return orjson.loads(text)
    if version == _WIDE:
        return json.loads(text)
    raise ValueError(f"a state of version {version[0]}, this library reads {VERSION}")
