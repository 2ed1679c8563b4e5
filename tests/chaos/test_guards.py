"""Each guard has a scenario that holds with it and breaks without it; pytest's summary prints the table.

All runs share a few stacks, which work side by side, since most of a run is waiting.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from queue import Empty, Queue
from threading import Thread
from typing import Any

import pytest

from tests.chaos.changes import GUARDS
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.stack import ChangedStack
from tests.chaos.staging import Broken, Scenario

pytestmark = pytest.mark.acceptance

STACKS = 3
Runs = dict[tuple[str, bool], "Future[None]"]

each_guard = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.guard)


def run(stack: ChangedStack, scenario: Scenario, *, guarded: bool) -> None:
    """Try a scenario on processes of its own."""
    stack.changes = scenario.changes
    stack.missing, stack.missing_in = ("", ()) if guarded else (scenario.guard, scenario.guarded)
    stack.kill_others(scenario.processes)
    stack.forget_all()
    stack.launch(*scenario.processes)
    scenario.run(stack)


def work(jobs: "Queue[tuple[Scenario, bool, Future[None]]]") -> None:
    """Do what is queued on one stack; its processes are this thread's, and end with it."""
    with ChangedStack(start=()) as stack:
        while True:
            try:
                scenario, guarded, future = jobs.get_nowait()
            except Empty:
                break
            try:
                run(stack, scenario, guarded=guarded)
            except Exception as error:  # noqa: BLE001 - the test that waits for it raises it
                error.add_note(
                    "\n".join(handle.log[-3_000:] for handle in stack.processes.values())
                )
                future.set_exception(error)
                stack.kill_others(())
            else:
                future.set_result(None)
        stack.kill_others(())


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest) -> Iterator[Runs]:
    """What came of each scenario, with its guard and without, as soon as it is known."""
    items: Iterable[Any] = request.session.items
    wanted = {
        item.callspec.params["scenario"].guard
        for item in items
        if "scenario" in getattr(item, "fixturenames", ())
    }
    futures: Runs = {}
    jobs: Queue[Any] = Queue()
    for scenario in SCENARIOS:
        for guarded in (True, False) if scenario.guard in wanted else ():
            futures[scenario.guard, guarded] = Future()
            jobs.put((scenario, guarded, futures[scenario.guard, guarded]))
    threads = [Thread(target=work, args=(jobs,)) for _ in range(min(STACKS, jobs.qsize()))]
    for thread in threads:
        thread.start()
    yield futures
    for thread in threads:
        thread.join()


def test_every_guard_has_one_scenario_and_every_scenario_a_guard() -> None:
    assert sorted(GUARDS) == sorted(scenario.guard for scenario in SCENARIOS)


@each_guard
def test_with_the_guard_its_promise_holds(runs: Runs, scenario: Scenario) -> None:
    runs[scenario.guard, True].result(120)


@each_guard
def test_without_the_guard_its_promise_breaks(
    runs: Runs, scenario: Scenario, record_property: Any
) -> None:
    with pytest.raises(Broken) as broken:
        runs[scenario.guard, False].result(120)
    record_property("guard", (scenario.guard, scenario.promise, str(broken.value)))
