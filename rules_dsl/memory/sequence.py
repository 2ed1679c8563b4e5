"""Sequences: events that follow one another within a time, each serving one step.

Of an event that may serve a step are kept its time, which steps it may serve, and the fields that other
steps ask for by its name. When one comes that may be the last, the others are looked for backwards, the
latest first; so of several ways to choose them the latest is taken. Where no name ties two steps
together, the latest choice for a step is as good as any, and nothing is tried twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
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


class _Slot(NamedTuple):
    """A place for one event: of a step that is repeated there are several."""

    number: int
    step: StepPlan
    named: bool
    only_latest: bool  # whether the latest event is as good as any


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
        self.slots = list(_slots(plans))
        # Where the conditions stand that ask for a name.
        self.asking = {
            plan.name: [at for at, slot in enumerate(self.slots) if plan.name in slot.step.ties]
            for plan in plans
            if plan.named
        }

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
        first = search.first(last)
        return None if first is None else Found(first.time, search.names)

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
    """One search backwards from an event; a loop, since a sequence may be of more events than calls may nest."""

    def __init__(self, plan: Sequences, earlier: Sequence[Candidate], low: int, now: float) -> None:
        self._plan = plan
        self._earlier = earlier
        self._low = low
        self._now = now
        self._looked = 0
        self._chosen: list[Candidate] = []
        self._places: list[int] = []
        self.names: dict[str, dict[str, Any]] = {}

    def first(self, last: Candidate) -> Candidate | None:
        """The first of the latest events that fit before the last one; None where none do."""
        slots, chosen = self._plan.slots, self._chosen
        below = len(self._earlier)
        if not self._choose(last, below):
            return None
        while len(chosen) < len(slots):
            at = self._before(below, slots[len(chosen)].number)
            if at is None:
                at = self._step_back()
            else:
                # If it does not fit, the one before it is next.
                self._choose(self._earlier[at], at)
            if at is None:
                return None
            below = at
        return chosen[-1]

    def _before(self, below: int, number: int) -> int | None:
        """Where the latest event before a place is that may serve a step."""
        for at in range(below - 1, -1, -1):
            candidate = self._earlier[at]
            if candidate.time <= self._low:
                break
            self._pay()
            if candidate.steps >> number & 1:
                return at
        return None

    def _choose(self, candidate: Candidate, at: int) -> bool:
        """Take an event for the next slot, if all conditions hold of which the last name is known by it."""
        slot = self._plan.slots[len(self._chosen)]
        self._chosen.append(candidate)
        self._places.append(at)
        if slot.named:
            self.names[slot.step.name] = candidate.kept
        if self._fits(slot):
            return True
        self._undo()
        return False

    def _step_back(self) -> int | None:
        """Undo down to a choice for which there may be another before it; its place."""
        while len(self._chosen) > 1:
            slot, at = self._undo()
            if not slot.only_latest:
                return at
        return None

    def _undo(self) -> tuple["_Slot", int]:
        self._chosen.pop()
        slot = self._plan.slots[len(self._chosen)]
        if slot.named:
            del self.names[slot.step.name]
        return slot, self._places.pop()

    def _fits(self, slot: "_Slot") -> bool:
        """Whether the conditions hold that have waited for the name of a slot."""
        if not slot.named:
            return True
        for at in self._plan.asking.get(slot.step.name, ()):
            step = self._plan.slots[at].step
            if step.tied is None or not step.ties <= self.names.keys():
                continue
            kept = self._chosen[at].kept
            run = Run(kept, self._now)
            run.steps = self._looked
            run.pay(step.weight)
            run.variables.update(self.names)
            run.variables[step.name] = kept
            fits = step.tied(run)
            self._looked = run.steps
            if fits is not True:
                return False
        return True

    def _pay(self) -> None:
        self._looked += 1
        if self._looked > BUDGET:
            raise BudgetSpent


def _slots(plans: Sequence[StepPlan]) -> Iterator[_Slot]:
    """From the last to the first; of a repeated step the latest has the name."""
    for index in reversed(range(len(plans))):
        step = plans[index]
        yield _Slot(index, step, True, step.tied is None and not step.named)
        again = _Slot(index, step, False, step.tied is None)
        yield from repeat(again, step.times - 1)


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
