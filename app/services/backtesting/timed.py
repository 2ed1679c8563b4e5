"""States whose timers are known: which of many comes next, without a look at them all."""

from heapq import heappop, heappush
from typing import Final

from app.services.deciding import can_be_held
from rules_dsl import tree
from rules_dsl.memory import Address, Machine, MemoryStates, State

Due = tuple[int, bool, int, Address]
# So many decisions later, what nothing can ask for any more is dropped.
SWEEP: Final = 20_000


class Timers:
    """The times that are to come, of all rules of a trial; ties go by the rules' places.

    But what may be held back by another's alert comes after it.
    """

    def __init__(self) -> None:
        self._heap: list[Due] = []

    def __bool__(self) -> bool:
        return bool(self._heap)

    def add(self, due: int, waits: bool, place: int, address: Address) -> None:
        """Note one; `waits` says whether others go first."""
        heappush(self._heap, (due, waits, place, address))

    def next(self, before: int) -> Due | None:
        """The first that comes before a moment, taken off."""
        heap = self._heap
        return heappop(heap) if heap and heap[0][0] < before else None


class TimedStates(MemoryStates):
    """The states of one rule; it notes which of them were handed out, since their timers may have changed."""

    def __init__(self, place: int, machine: Machine, timers: Timers) -> None:
        super().__init__(machine.limits.keys)
        self._place = place
        self._machine = machine
        self._waits = can_be_held(machine)
        self._timers = timers
        self._watched = has_timers(machine)
        self._touched: set[Address] = set()
        self._known: dict[Address, int] = {}
        self._until_sweep = SWEEP

    def get(self, address: Address, default: object = None) -> State | None:  # type: ignore[override]
        """The state at an address, if there is one."""
        if self._watched:
            self._touched.add(address)
        return super().get(address)

    def __setitem__(self, address: Address, state: State) -> None:
        if self._watched:
            self._touched.add(address)
        super().__setitem__(address, state)

    def settle(self, now: int) -> None:
        """Note the timers of what was touched; now and then drop what is over."""
        if self._touched:
            self._note()
        self._until_sweep -= 1
        if not self._until_sweep:
            self._drop(now)
            self._until_sweep = max(SWEEP, len(self))

    def _note(self) -> None:
        for address in self._touched:
            state = super().get(address)
            due = None if state is None else state.due
            if due is None:
                self._known.pop(address, None)
            elif self._known.get(address) != due:
                self._known[address] = due
                self._timers.add(due, self._waits, self._place, address)
        self._touched.clear()

    def is_due(self, due: int, address: Address) -> bool:
        """Whether that timer is still what the state waits for."""
        if self._known.get(address) != due:
            return False
        # Whoever fires it may set another of the same time.
        del self._known[address]
        return True

    def _drop(self, now: int) -> None:
        """What live forgets, by the same rule."""
        expires = self._machine.expires
        over = [at for at, state in self.items() if (expires(state) or now) < now]
        for address in over:
            del self[address]


def has_timers(machine: Machine) -> bool:
    """Whether a time may come to anything."""
    plan = machine.plan
    waits = bool(plan.absent or plan.held or plan.resolve_after or plan.sequence)
    return waits or bool({tree.Group, tree.During} & plan.clauses.keys())
