"""What a condition with memory is told by: `4 of 5 within 5m for user.id = 42`, from recorded values."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from rules_dsl import tree
from rules_dsl.evaluator import Outcome
from rules_dsl.format import format_expression
from rules_dsl.memory.calendar import clock_text
from rules_dsl.memory.keys import NO_KEY, names_and_values
from rules_dsl.memory.plan import Plan, windows_in
from rules_dsl.memory.windows import WindowSpec
from rules_dsl.values import UNKNOWN, shown

Telling: TypeAlias = Callable[[Sequence[object]], str]

_MIRRORED: Final = {">": "<", ">=": "<=", "<": ">", "<=": ">="}
_SECOND: Final = 1_000_000


def told(
    plan: Plan, key: str, time: int, recorded: Mapping[str, Any], outcome: Outcome = True
) -> str | None:
    """Why a condition with memory is as it is; None for clauses alone."""
    compared = range(len(plan.compared)) if "windows" in recorded else ()
    parts = [told_comparison(plan, number, recorded) for number in compared]
    if plan.sequence is not None and "steps" in recorded:
        parts.append(told_sequence(plan, time, recorded))
    if "nothing_since" in recorded and recorded["nothing_since"] is not None:
        since = clock_text(recorded["nothing_since"], time, None)
        parts.append(f"nothing {'more ' if plan.sequence else ''}since {since}")
    if "since" in recorded:
        parts.append(_told_since(plan, time, recorded["since"], outcome))
    return f"{', '.join(parts)}{_whose(plan, key)}" if parts else None


def told_comparison(plan: Plan, number: int, recorded: Mapping[str, Any]) -> str:
    """`4 of 5 within 5m`, or the value of each window."""
    values = recorded["windows"]
    if not plan.tellings:  # what does not depend on values is put into words once
        plan.tellings = [_tellings(plan, each) for each in plan.compared]
    return ", ".join(telling(values) for telling in plan.tellings[number])


def _tellings(plan: Plan, node: tree.Comparison) -> list[Telling]:
    numbers = {spec.text: number for number, spec in enumerate(plan.windows)}
    found = dict.fromkeys(format_expression(window) for window in windows_in(node))
    return [_telling(plan.windows[numbers[text]], numbers[text], _needed(node)) for text in found]


def _telling(spec: WindowSpec, number: int, needed: int | None) -> Telling:
    within = f"within {spec.span}"
    if spec.offset:
        within += f", {_duration(spec.offset)} earlier"
    short = spec.text.rpartition(" over ")[0]

    def telling(values: Sequence[object]) -> str:
        value = values[number]
        written = shown(UNKNOWN if value is None else value)
        if needed is not None and value is not None:
            return f"{written} of {needed} {within}"
        return f"{short} was {written} {within}"

    return telling


def told_sequence(plan: Plan, time: int, recorded: Mapping[str, Any]) -> str:
    """`a 4 of 5, b 0 of 1 within 10m`, and what becomes of a closing `not`."""
    assert plan.sequence is not None
    steps = recorded["steps"]
    counts = (
        f"{step.name} {min(count, step.times)} of {step.times}"
        for step, count in zip(plan.sequence.steps, steps, strict=True)
    )
    said = f"{', '.join(counts)} within {plan.sequence.span}"
    if "until" in recorded:
        said += f", fires at {clock_text(recorded['until'], time, None)} if nothing such comes"
    if "ended" in recorded:
        said = f"it ended the wait since {clock_text(recorded['ended'], time, None)}, {said}"
    return said


def told_late(plan: Plan, key: str, recorded: Mapping[str, Any]) -> str | None:
    """How late an event came; None where the record does not say."""
    if "behind" not in recorded:
        return None
    # Rounded up, or it would seem to have come just in time.
    behind = -(-recorded["behind"] // _SECOND) * _SECOND
    newest = f"{_duration(behind)} behind the newest{_whose(plan, key)}"
    return f"the event came too late, {newest}; {_duration(recorded['allowed'])} is allowed"


def _told_since(plan: Plan, time: int, since: int | None, outcome: Outcome) -> str:
    assert plan.held is not None
    if since is None:
        return "not true now"
    begun = f"true since {clock_text(since, time, None)}"
    if time < since:  # the event is late
        return f"after this event, {begun}"
    fired = ", and fired already" if not outcome and time - since >= plan.held else ""
    return f"{begun}, for {_duration(time - since)} of {_duration(plan.held)}{fired}"


def _whose(plan: Plan, key: str) -> str:
    return f" for {names_and_values(plan.key.names, key)}" if key != NO_KEY else ""


def _needed(node: tree.Comparison) -> int | None:
    """What a count must come to, where a comparison says so in plain words."""
    left, right, operator = node.left, node.right, node.operator
    if isinstance(right, tree.Window):
        left, right, operator = right, left, _MIRRORED.get(operator, operator)
    counts = isinstance(left, tree.Window) and left.function in ("count", "distinct")
    if not counts or not isinstance(right, tree.Literal) or type(right.value) is not int:
        return None
    return {">=": right.value, ">": right.value + 1}.get(operator)


def _duration(microseconds: int) -> str:
    """A duration as a rule writes it."""
    seconds, text = microseconds // _SECOND, ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
