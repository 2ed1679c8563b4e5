"""The builder's half for memory: windows, `absent`, `seq`, `for`, and the clauses after `then`."""

from collections.abc import Mapping
from typing import Any, Final, Literal, NoReturn, Protocol

from rules_dsl import tree
from rules_dsl.errors import RuleError, did_you_mean
from rules_dsl.source import Source, Span
from rules_dsl.spelling import mistake
from rules_dsl.tree import Expression
from rules_dsl.words import DAY_SETS, DAYS, WINDOW_WORDS

_WHERE: Final = f"as in {WINDOW_WORDS['where']}"
_MOST_TIMES: Final = 100
_LONG_DAYS: Final = {
    "monday": "mon", "tuesday": "tue", "wednesday": "wed", "thursday": "thu", "friday": "fri",
    "saturday": "sat", "sunday": "sun",
}  # fmt: skip


class Reading(Protocol):
    """What is needed of the builder."""

    source: Source

    def span(self, model: Any) -> Span:
        """Where a model stands."""

    def expression(self, model: Any) -> Expression:
        """The tree of a condition or a value."""

    def name(self, name: str) -> None:
        """Let a name stand for something from here on."""

    def forget(self, count: int) -> None:
        """Let the latest names stand for fields again."""


def build_window(reading: Reading, model: Any) -> Expression:
    """A call that ends in `over`."""
    window = model.window
    if not window:
        _refuse(reading, model.where, "`where` stands only in a window", _WHERE)
    if len(model.arguments) > 1:
        message = f"`{model.name}` over a window takes one value"
        _refuse(reading, model.arguments[1], message, "as in sum(amount) over 5m")
    if window.offset and window.late:
        _refuse(reading, window.late, "`offset` is written twice", "a window has one")
    offset = window.offset or window.late
    arguments = [reading.expression(each) for each in model.arguments]
    return tree.Window(
        span=reading.span(model),
        function=model.name,
        value=arguments[0] if arguments else None,
        where=reading.expression(model.where) if model.where else None,
        over=_literal(reading, window.span),
        offset=_literal(reading, offset.span) if offset else None,
        by=_by(reading, window.by),
    )


def build_absence(reading: Reading, model: Any) -> Expression:
    """`absent(…) for …`."""
    body = reading.expression(model.body)
    expect = reading.expression(model.expect) if model.expect else None
    assert expect is None or isinstance(expect, tree.ListLiteral)
    span_for = _literal(reading, model.span)
    return tree.Absence(reading.span(model), body, span_for, _by(reading, model.by), expect)


def build_held(reading: Reading, model: Any, body: Expression) -> Expression:
    """A sentence's condition that ends in `for`."""
    end = (model.by or model.span)._tx_position_end
    span = reading.source.span(model.condition._tx_position, end)
    return tree.Held(span, body, _literal(reading, model.span), _by(reading, model.by))


def build_sequence(reading: Reading, model: Any) -> Expression:
    """`seq(…) within …`; the name of a step stands for its event, in it and in those after it."""
    steps = []
    named = 0
    for step in model.steps:
        if step.name:
            reading.name(step.name)
            named += 1
        condition = reading.expression(step.condition)
        times = _times(reading, step)
        steps.append(tree.Step(reading.span(step), step.name or None, condition, times))
    reading.forget(named)
    within = _literal(reading, model.span)
    return tree.Sequence(reading.span(model), tuple(steps), within, _by(reading, model.by))


def build_clauses(reading: Reading, found: Mapping[str, Any]) -> tuple[tree.Clause, ...]:
    """The clauses that need memory, in the order of the formatter."""
    return tuple(build(reading, found[kind]) for kind, build in _CLAUSES.items() if kind in found)


def _times(reading: Reading, step: Any) -> int:
    if not step.times:
        return 1
    digits = step.times[1:]
    times = int(digits) if len(digits) < 9 else _MOST_TIMES + 1
    if not 2 <= times <= _MOST_TIMES:
        end = step._tx_position_end
        message = f"a step is repeated 2 to {_MOST_TIMES:,} times"
        hint = "without xN it is once" if times < 2 else "to count more, write count() over …"
        raise mistake(reading.source, end - len(step.times), end, message, hint)
    return times


def _throttle(reading: Reading, model: Any) -> tree.Clause:
    count, per = _literal(reading, model.count), _literal(reading, model.per)
    return tree.Throttle(reading.span(model), count, per, _by(reading, model.by))


def _group(reading: Reading, model: Any) -> tree.Clause:
    span_for = _literal(reading, model.span)
    return tree.Group(reading.span(model), span_for, _by(reading, model.by))


def _during(reading: Reading, model: Any) -> tree.Clause:
    zone = reading.expression(model.zone)
    assert isinstance(zone, tree.Literal)
    otherwise = model.otherwise or "hold"
    if otherwise not in ("hold", "drop"):
        end = model._tx_position_end
        hint = did_you_mean(otherwise, ["hold", "drop"]) or "as in otherwise drop"
        message = "after `otherwise` comes `hold` or `drop`"
        raise mistake(reading.source, end - len(otherwise), end, message, hint)
    kept: Literal["hold", "drop"] = "drop" if otherwise == "drop" else "hold"
    begin, end = (_minutes(each) for each in model.hours.split("-"))
    return tree.During(reading.span(model), _days(reading, model), begin, end, zone, kept)


def _days(reading: Reading, model: Any) -> tuple[str, ...]:
    """The days that are named, in the order of the week."""
    named: set[str] = set()
    for word in model.days:
        short = _LONG_DAYS.get(word, word)
        if short not in DAYS and word not in DAY_SETS:
            start = reading.source.text.index(word, model._tx_position + len("during"))
            known = [*DAYS, *_LONG_DAYS, *DAY_SETS]
            hint = did_you_mean(word.lower(), known) or "as in weekdays, weekends, daily, mon, tue"
            message = f"`{word}` is no day"
            raise mistake(reading.source, start, start + len(word), message, hint)
        named.update(DAY_SETS.get(word, (short,)))
    return tuple(day for day in DAYS if day in named)


def _minutes(written: str) -> int:
    hours, _, minutes = written.strip().partition(":")
    return int(hours) * 60 + int(minutes)


def _unless(reading: Reading, model: Any) -> tree.Clause:
    return tree.Unless(reading.span(model), _literal(reading, model.rule), _by(reading, model.by))


def _resolve_when(reading: Reading, model: Any) -> tree.Clause:
    condition = reading.expression(model.condition)
    return tree.ResolveWhen(reading.span(model), condition, _by(reading, model.by))


def _resolve_after(reading: Reading, model: Any) -> tree.Clause:
    span_for = _literal(reading, model.span)
    return tree.ResolveAfter(reading.span(model), span_for, _by(reading, model.by))


_CLAUSES: Final = {
    "ThrottleClause": _throttle,
    "GroupClause": _group,
    "DuringClause": _during,
    "UnlessClause": _unless,
    "resolve when": _resolve_when,
    "resolve after": _resolve_after,
}


def _literal(reading: Reading, model: Any) -> tree.Literal:
    literal = reading.expression(model)
    assert isinstance(literal, tree.Literal)
    return literal


def _by(reading: Reading, model: Any) -> tuple[tree.Path, ...]:
    paths = [reading.expression(path) for path in model.paths] if model else []
    return tuple(path for path in paths if isinstance(path, tree.Path))


def _refuse(reading: Reading, model: Any, message: str, hint: str) -> NoReturn:
    span = reading.span(model)
    raise RuleError(message, code="syntax", text=reading.source.whole, span=span, hint=hint)
