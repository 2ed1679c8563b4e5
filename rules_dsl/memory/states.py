"""States in the memory of one process, for tests, trials and backtests: with the cap on keys."""

from collections.abc import Iterator, MutableMapping

from rules_dsl.memory.decisions import Address
from rules_dsl.memory.state import State


class MemoryStates(MutableMapping[Address, State]):
    """The states of one rule; past the cap those are dropped that were used longest ago."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._states: dict[Address, State] = {}
        self.dropped = 0  # keys that the cap has cost

    def __getitem__(self, address: Address) -> State:
        return self._states[address]

    def get(self, address: Address, default: object = None) -> State | None:  # type: ignore[override]
        """The state at an address, if there is one."""
        return self._states.get(address)

    def __setitem__(self, address: Address, state: State) -> None:
        self._states.pop(address, None)
        self._states[address] = state
        if len(self._states) > self._most:
            over = len(self._states) - self._most + self._most // 16
            for oldest in list(self._states)[:over]:
                del self._states[oldest]
            self.dropped += over

    def __delitem__(self, address: Address) -> None:
        del self._states[address]

    def __iter__(self) -> Iterator[Address]:
        return iter(self._states)

    def __len__(self) -> int:
        return len(self._states)

    def due(self, now: int) -> list[Address]:
        """Whose timers have come, in the order of their times."""
        due = [(s.due, at) for at, s in self._states.items() if s.due is not None and s.due <= now]
        return [address for _, address in sorted(due)]
