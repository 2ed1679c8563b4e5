"""States: what is remembered of one rule under one key, and how it is kept.

A saved state is a few numbers, as JSON what most states have nothing of, and columns of machine numbers, so
that to load and save it costs little more than to copy it. Everything in it is bounded: by the time that
windows reach back, and by a cap on the entries.
"""

import json
import sys
from array import array
from collections.abc import Mapping
from functools import lru_cache
from operator import attrgetter
from struct import Struct
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from rules_dsl.memory.log import Log
from rules_dsl.memory.plan import Plan
from rules_dsl.memory.recent import SIZE, Recent
from rules_dsl.memory.sequence import Candidate, Pending
from rules_dsl.memory.sums import ExactSum
from rules_dsl.memory.windows import RUNNING, Cursor

VERSION: Final = 2
_WIDE: Final = VERSION | 128
NEVER: Final = -(2**62)
Keys: TypeAlias = Mapping[str, str]


class Cause(NamedTuple):
    """An event that something is about: its time, its id, and the keys that clauses made of it."""

    time: int
    id: bytes | None
    keys: Keys


class Kept(NamedTuple):
    """A match that waits for the time of a group or of `during`; or all of one alert in a group of them."""

    cause: Cause
    key: str
    rounds: int
    kind: str


class State:
    """What one rule remembers under one key."""

    __slots__ = (
        "absent_due", "alert_time", "candidates", "changed", "cursors", "dropped", "due", "falsified",
        "group", "group_due", "group_others", "group_rounds", "held", "held_due", "last", "latest", "logs", "matches",
        "pending", "recent", "resolve_due", "rounds", "since", "spell_due",
    )  # fmt: skip

    def __init__(self, plan: Plan | None) -> None:
        self.changed = True
        self.due: int | None = None  # the earliest of its timers
        self.dropped = 0  # entries that the cap has cost
        self.latest = NEVER  # the time of the newest event
        if plan is not None:  # a saved one brings its own
            self.recent = Recent(array("q"), bytearray(), array("b"))
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
        self.group_others: list[Kept] = []  # the last match of each other alert in it
        self.group_rounds = 0  # of all of it
        self.group_due: int | None = None
        self.held: list[Kept] = []
        self.held_due: int | None = None

    def settle(self) -> None:
        """Note a change, and which timer comes first."""
        due = None
        for each in _timers(self):
            if each is not None and (due is None or each < due):
                due = each
        for waiting in self.pending:
            if due is None or waiting.due < due:
                due = waiting.due
        self.due = due
        self.changed = True

    @property
    def clause_keys(self) -> list[Keys]:
        """The keys that clauses made of the events that its timers are about."""
        kept = (each.cause for each in (*self.group_others, *self.held))
        causes = [self.last, self.group, *kept]
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
        recent = self.recent
        rare: dict[str, Any] = {} if _rarely(self) == _NOTHING_RARE else self._rare()
        columns: list[Any] = [recent.ids, recent.times, recent.marks]
        numbers: list[Any] = []
        for log in self.logs:
            numbers += (len(log.times), _code_of(log, columns, rare))
        for cursor in self.cursors:
            numbers += _NO_CURSOR if cursor is None else _numbers_of(cursor, rare)
        version, text = _written(rare) if rare else (VERSION, b"")
        logs, cursors, count = len(self.logs), len(self.cursors), len(recent.times)
        fixed = _layout(logs, cursors).pack(
            version, logs, cursors, len(text), count, self.latest, *numbers
        )
        if _SWAPPED:
            columns = [_swapped(column) for column in columns]
        return b"".join((fixed, text, *columns))

    def _rare(self) -> dict[str, Any]:
        """What most states have nothing of."""
        head: dict[str, Any] = {
            name: value
            for name, before in _PLAIN.items()
            if (value := getattr(self, name)) != before
        }
        if self.candidates:
            head["candidates"] = [(*each[:1], each.id.hex(), *each[2:]) for each in self.candidates]
        if self.pending:
            head["pending"] = [(*each[:2], each.id.hex(), *each[3:]) for each in self.pending]
        head |= {name: _cause(each) for name in ("last", "group") if (each := getattr(self, name))}
        for name in ("group_others", "held"):
            if kept := getattr(self, name):
                head[name] = [(_cause(each.cause), *each[1:]) for each in kept]
        return head

    @classmethod
    def unpack(cls, data: bytes) -> "State":
        """A state from what `pack` gave; ValueError when another version gave it."""
        version, logs, cursors = _COUNTS.unpack_from(data)
        if version not in (VERSION, _WIDE):
            raise ValueError(f"a state of version {version}, this library reads {VERSION}")
        layout = _layout(logs, cursors)
        _, _, _, size, count, latest, *numbers = layout.unpack_from(data)
        start = layout.size + size
        rare = _read(version, data[layout.size : start]) if size else {}
        state = cls(None)
        state.latest = latest
        times = start + SIZE * count
        marks = times + _WIDTH * count
        end = marks + count
        state.recent = Recent(
            array("q", data[times:marks]), bytearray(data[start:times]), array("b", data[marks:end])
        )
        state.logs = []
        for at in range(0, 2 * logs, 2):
            log, end = _log(data, end, numbers[at], numbers[at + 1], rare)
            state.logs.append(log)
        state.cursors = [
            None if numbers[at + 3] == _NONE else _cursor(numbers[at : at + 4], rare)
            for at in range(2 * logs, len(numbers), 4)
        ]
        if _SWAPPED:
            state._swap()
        if rare:
            state._bring(rare)
        state.changed = False
        return state

    def _swap(self) -> None:
        """Read numbers as machines of the other kind do."""
        self.recent.times = _swapped(self.recent.times)
        for log in self.logs:
            log.times, log.values = _swapped(log.times), _swapped(log.values)

    def _bring(self, rare: dict[str, Any]) -> None:
        """Take up what most states have nothing of."""
        for name, value in rare.items():
            if name in _PLAIN:
                setattr(self, name, value)
        if "candidates" in rare:
            self.candidates = [Candidate(t, _id(i), s, k) for t, i, s, k in rare["candidates"]]
        if "pending" in rare:
            self.pending = [
                Pending(due, last, _id(i), keys, names)
                for due, last, i, keys, names in rare["pending"]
            ]
        self.last, self.group = _caused(rare.get("last")), _caused(rare.get("group"))
        for name in ("group_others", "held"):
            if name in rare:
                setattr(self, name, [Kept(_made(cause), *each) for cause, *each in rare[name]])
        self.settle()


@lru_cache(maxsize=1000)
def _layout(logs: int, cursors: int) -> Struct:
    """What each state has: the version, how many there are of what, the newest time, logs and cursors."""
    return Struct(_COUNTS.format + "IIq" + "Ic" * logs + "qqqq" * cursors)


def _code_of(log: Log, columns: list[Any], rare: dict[str, Any]) -> bytes:
    """What a log's values are; numbers that no column holds are rare."""
    columns.append(log.times)
    if log.values is None:
        return _TIMES
    if isinstance(log.values, array):
        columns.append(log.values)
        return _CODES[log.values.typecode]
    rare.setdefault("values", []).append(log.values)
    return _LISTED


def _log(data: bytes, start: int, count: int, code: bytes, rare: dict[str, Any]) -> tuple[Log, int]:
    """A log of so many entries, and where it ends."""
    end = start + _WIDTH * count
    times = array("q", data[start:end])
    if code == _TIMES:
        return Log(times), end
    if code == _LISTED:
        return Log(times, rare["values"].pop(0)), end
    start, end = end, end + _WIDTH * count
    return Log(times, array(code.decode(), data[start:end])), end


def _numbers_of(cursor: Cursor, rare: dict[str, Any]) -> tuple[int, int, int, int]:
    """A cursor as four numbers; a sum past 64 bits is rare."""
    units, shift = cursor.total.units, cursor.total.shift
    if not -_WIDEST <= units < _WIDEST:
        rare.setdefault("sums", []).append([format(units, "x"), shift])
        units, shift = 0, _APART
    return cursor.low, cursor.high, units, shift


def _cursor(numbers: list[int], rare: dict[str, Any]) -> Cursor:
    low, high, units, shift = numbers
    if shift == _APART:
        text, shift = rare["sums"].pop(0)
        units = int(text, 16)
    return Cursor(low, high, ExactSum(units, shift))


def _swapped(column: Any) -> Any:
    """A column as machines of the other kind have it; what is no array has no numbers of theirs."""
    if isinstance(column, array):
        column = array(column.typecode, column)
        column.byteswap()
    return column


def _cause(cause: Cause) -> list[Any]:
    return [cause.time, cause.id.hex() if cause.id else None, dict(cause.keys)]


def _caused(saved: Any) -> Cause | None:
    return _made(saved) if saved else None


def _made(saved: Any) -> Cause:
    return Cause(saved[0], _id(saved[1]) if saved[1] else None, saved[2])


_id: Final = bytes.fromhex
_WIDTH: Final = 8  # of a time, and of a value
_CODES: Final = {code: code.encode() for code in "qd"}
_TIMES: Final = b"-"
_LISTED: Final = b"l"
_WIDEST: Final = 2**63
# What is kept is little-endian.
_SWAPPED: Final = sys.byteorder == "big"
_COUNTS: Final = Struct("<BHH")
# In the place of a cursor's shift.
_NONE: Final = -1
_APART: Final = -2
_NO_CURSOR: Final = (0, 0, 0, _NONE)
# What is kept as it is, with what it is when nothing has happened.
_PLAIN: Final[dict[str, object]] = {
    "dropped": 0, "since": None, "falsified": NEVER, "spell_due": None, "absent_due": None,
    "matches": 0, "alert_time": NEVER, "resolve_due": None, "rounds": [], "group_rounds": 0,
    "group_due": None, "held_due": None,
}  # fmt: skip
_RARE: Final[dict[str, object]] = {
    **_PLAIN, "candidates": [], "pending": [], "last": None, "group": None,
    "group_others": [], "held": [],
}  # fmt: skip
_NOTHING_RARE: Final = tuple(_RARE.values())
_rarely: Final = attrgetter(*_RARE)
_timers: Final = attrgetter("spell_due", "absent_due", "resolve_due", "group_due", "held_due")
_dumps: Final = json.JSONEncoder(separators=(",", ":")).encode


def _written(head: dict[str, Any]) -> tuple[int, bytes]:
    """As JSON, and which of the two libraries it needs: the fast one has no numbers past 64 bits."""
    try:
        return VERSION, orjson.dumps(head)
    except TypeError:
        return _WIDE, _dumps(head).encode()


def _read(version: int, text: bytes) -> Any:
    return orjson.loads(text) if version == VERSION else json.loads(text)
