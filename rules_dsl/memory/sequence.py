"""Sequences: events that follow one another within a time, each serving one step.

Of an event that may serve a step are kept its time, which steps it may serve, and the fields that other
steps ask for by its name. When one comes that may be the last, the others are looked for backwards, the
latest first; so of several ways to choose them the latest is taken. Where no name ties two steps
together, the latest choice for a step is as good as any, and nothing is tried twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from rules_dsl import tree
from rules_dsl.compiler import Program, compile_condition
from rules_dsl.cost import weight
from rules_dsl.run import BUDGET, BudgetSpent, Run
from rules_dsl.tree import Expression, conjuncts

_SECOND: Final = 1_000_000


class Candidate(NamedTuple):
    """An event that may serve some steps, one bit each."""

    time: int
    id: bytes
    steps: int
    kept: dict[str, Any]


class Pending(NamedTuple):
    """A sequence of which only the closing `not` is open."""

    due: int
    last: int
    id: bytes
    keys: Mapping[str, str]
    names: dict[str, dict[str, Any]]


@dataclass(slots=True)
class StepPlan:
    """One step: what of its condition one event tells, and what needs earlier ones."""

    name: str
    times: int
    alone: Program | None
    tied: Program | None
    ties: frozenset[str]  # the earlier names that it asks for
    kept: frozenset[str] | None  # the fields that are asked for later; None for all
    weight: int  # of `tied`, in the steps of a budget
    named: bool = False  # whether a later step asks for it


class Found(NamedTuple):
    """A whole sequence: its first event's time, and the events that have names."""

    first: int
    names: dict[str, dict[str, Any]]


class Sequences:
    """The plan of one `seq`."""

    def __init__(self, node: tree.Sequence) -> None:
        self.within = int(node.within.value or 0) * _SECOND
        self.span = node.within.written
        names = [step.name or "" for step in node.steps]
        plans = [_step(node.steps, index) for index in range(len(names))]
        self.closing = plans.pop() if not names[-1] else None
        self.steps = plans
        everyone = [*plans, *([self.closing] if self.closing else [])]
        for plan in plans:
            plan.named = any(plan.name in other.ties for other in everyone)
        # The step that an event need not wait to serve.
        self.only_last = 1 << len(plans) - 1 if plans[-1].times == 1 else 0
        # From the last to the first: the step, and whether it is the one that has the name.
        self.slots = [
            (index, turn == 0)
            for index in reversed(range(len(plans)))
            for turn in range(plans[index].times)
        ]

    def serves(self, run: Run) -> int:
        """Which steps an event may serve."""
        return sum(1 << i for i, step in enumerate(self.steps) if _alone(step, run))

    def kept(self, steps: int, body: dict[str, Any]) -> dict[str, Any]:
        """The fields of an event that other steps may ask for."""
        fields: set[str] = set()
        for index, step in enumerate(self.steps):
            if steps >> index & 1:
                if step.kept is None:
                    return body
                fields |= step.kept
        return {name: body[name] for name in fields if name in body}

    def find(self, earlier: Sequence[Candidate], last: Candidate, now: float) -> Found | None:
        """The latest sequence that an event completes."""
        if not last.steps >> (len(self.steps) - 1) & 1:
            return None
        search = _Search(self, earlier, last.time - self.within, now)
        chosen = search.next([last], len(earlier))
        if chosen is None:
            return None
        return Found(chosen[-1].time, search.names(chosen))

    def closes(self, pending: Pending, run: Run) -> bool:
        """Whether an event is what a closing `not` waits for."""
        assert self.closing is not None
        if not _alone(self.closing, run):
            return False
        if self.closing.tied is None:
            return True
        tied = Run(run.event, run.now)
        tied.variables.update(pending.names)
        return self.closing.tied(tied) is True

    def progress(self, candidates: Sequence[Candidate], time: int, own: int) -> list[int]:
        """How many events may serve each step, of those within the time before an event, and itself.

        It is no candidate where it could only have been the last: its `own` steps say so.
        """
        within = [each.steps for each in candidates if time - self.within < each.time <= time]
        within.append(own & self.only_last)
        return [sum(each >> i & 1 for each in within) for i in range(len(self.steps))]


class _Search:
    """One search backwards from an event."""

    def __init__(self, plan: Sequences, earlier: Sequence[Candidate], low: int, now: float) -> None:
        self._plan = plan
        self._earlier = earlier
        self._low = low
        self._now = now
        self._looked = 0

    def next(self, chosen: list[Candidate], below: int) -> list[Candidate] | None:
        """Choose the slot before those that are chosen, from the events before an index."""
        slot = len(chosen) - 1
        index, named = self._plan.slots[slot]
        if not self._fits(chosen, index, named):
            return None
        if len(chosen) == len(self._plan.slots):
            return chosen
        index, named = self._plan.slots[slot + 1]
        step = self._plan.steps[index]
        only_latest = step.tied is None and not (named and step.named)
        for at in range(below - 1, -1, -1):
            candidate = self._earlier[at]
            if candidate.time <= self._low:
                break
            self._pay()
            if not candidate.steps >> index & 1:
                continue
            found = self.next([*chosen, candidate], at)
            if found or only_latest:
                return found
        return None

    def names(self, chosen: Sequence[Candidate]) -> dict[str, dict[str, Any]]:
        """The events that have names."""
        slots = zip(self._plan.slots, chosen, strict=False)
        steps = self._plan.steps
        return {steps[index].name: each.kept for (index, named), each in slots if named}

    def _fits(self, chosen: list[Candidate], index: int, named: bool) -> bool:
        """Whether the conditions hold of which the last name has just become known."""
        steps = self._plan.steps
        if not named:
            return True
        name = steps[index].name
        known = self.names(chosen)
        for (later, _), candidate in zip(self._plan.slots, chosen, strict=False):
            step = steps[later]
            if step.tied is None or name not in step.ties or not step.ties <= known.keys():
                continue
            run = Run(candidate.kept, self._now)
            run.steps = self._looked
            run.pay(step.weight)
            run.variables.update(known)
            run.variables[step.name] = candidate.kept
            fits = step.tied(run)
            self._looked = run.steps
            if fits is not True:
                return False
        return True

    def _pay(self) -> None:
        self._looked += 1
        if self._looked > BUDGET:
            raise BudgetSpent


def _alone(step: StepPlan, run: Run) -> bool:
    run.variables[step.name] = run.event
    return step.alone is None or step.alone(run) is True


def _step(steps: Sequence[tree.Step], index: int) -> StepPlan:
    step = steps[index]
    earlier = frozenset(each.name for each in steps[:index] if each.name)
    parts = conjuncts(step.condition)
    tied = tuple(part for part in parts if _names(part) & earlier)
    alone = tuple(part for part in parts if part not in tied)
    asked = [
        path
        for other in steps[index + 1 :]
        for path in _paths(other.condition)
        if path.variable == step.name
    ]
    own = [path for part in tied for path in _paths(part) if path.variable in (None, step.name)]
    wanted = [*asked, *own]
    whole = any(not path.steps for path in wanted)
    return StepPlan(
        name=step.name or "",
        times=step.times,
        alone=_compiled(alone),
        tied=_compiled(tied),
        ties=frozenset(name for part in tied for name in _names(part) & earlier),
        kept=None if whole else frozenset(str(path.steps[0]) for path in wanted),
        weight=sum(map(weight, tied)),
    )


def _compiled(parts: tuple[Expression, ...]) -> Program | None:
    if not parts:
        return None
    return compile_condition(parts[0] if len(parts) == 1 else tree.And(parts[0].span, parts))


def _names(node: Expression) -> frozenset[str]:
    return frozenset(path.variable for path in _paths(node) if path.variable is not None)


def _paths(node: Expression) -> Iterator[tree.Path]:
    if isinstance(node, tree.Path):
        yield node
    for child in tree.children(node):
        yield from _paths(child)
