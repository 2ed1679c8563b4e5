"""How long an alert takes at rest: from just before the POST of an event until its webhook arrives."""

import time

from tests.acceptance.stack import Stack

WARM_UP = 5
PAUSE = 0.05


def measure(events: int) -> list[float]:
    """Seconds, one after the other, so that nothing queues."""
    with Stack() as stack:
        dsl = f'when event.type == "bench" then notify("webhook:{stack.receiver.url}/bench")'
        stack.post("/rules", {"name": "bench", "dsl": dsl}).raise_for_status()
        seconds = [one(stack, number) for number in range(WARM_UP + events)]
    return seconds[WARM_UP:]


def one(stack: Stack, number: int) -> float:
    """One event, and the wait for its webhook."""
    time.sleep(PAUSE)
    began = time.time()
    stack.post("/events", {"type": "bench", "number": number}).raise_for_status()
    return stack.receiver.wait_for(number + 1)[-1].at - began
