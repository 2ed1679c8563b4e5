"""Many workers, and then hardly any: whoever is left does all the work, each notification once."""

from collections import Counter
from threading import Event

import pytest

from tests.acceptance.receiver import Answer, Heard
from tests.acceptance.stack import Stack
from tests.acceptance.test_spine import heard_events, make_rule, send, settled

pytestmark = pytest.mark.acceptance

EVENTS, BEFORE = 300, 20
FIVE = ("events", "events-2", "events-3", "notifications", "notifications-2")


def recorded_successes(stack: Stack) -> set[int]:
    """How many 2xx each notification has on record."""
    rows = stack.sql(
        "SELECT count(*) FILTER (WHERE outcome = 'sent') FROM attempts GROUP BY notification_id"
    )
    return {count for (count,) in rows}


def test_of_five_workers_one_of_each_kind_ends_what_all_have_begun() -> None:
    with Stack(start=("api", "inbox", *FIVE)) as stack:
        make_rule(stack, "five", 'type == "five"', "/five")
        stack.eventually(lambda: stack.sql("SELECT count(*) FROM workers") == [(5,)])
        dead = Event()

        def answer(_one: Heard) -> Answer:
            # However fast they are, most is still to be done when most of them are killed.
            if len(stack.receiver.heard) > BEFORE:
                dead.wait(30)
            return Answer()

        stack.receiver.answer = answer
        sent = send(stack, "five", EVENTS)
        stack.receiver.wait_for(BEFORE, seconds=60)
        assert stack.sql("SELECT count(*) FROM notifications WHERE status <> 'sent'") != [(0,)]
        for name in ("events", "events-3", "notifications-2"):
            stack.processes[name].kill()
        dead.set()
        stack.eventually(lambda: settled(stack), seconds=120)
        assert set(heard_events(stack.receiver.heard)) == sent
        assert recorded_successes(stack) == {1}


def test_five_workers_do_nothing_twice() -> None:
    with Stack(start=("api", "inbox", *FIVE)) as stack:
        make_rule(stack, "five", 'type == "five"', "/five")
        sent = send(stack, "five", EVENTS)
        stack.eventually(lambda: settled(stack), seconds=120)
        assert heard_events(stack.receiver.heard) == Counter(sent)
        assert recorded_successes(stack) == {1}
