"""The API killed at the worst moments, and hurried by many at once."""

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import requests

from tests.acceptance.stack import Stack
from tests.acceptance.test_spine import heard_events, make_rule, settled

pytestmark = pytest.mark.acceptance

INJECTED = Path(__file__).with_name("injected")
# The start of an API on a busy machine, and a sweep.
DELIVERED_WITHIN = 60.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as running:
        yield running


@pytest.mark.parametrize("point", ["before_publish", "before_answer"])
def test_an_api_killed_after_its_commit_has_accepted_the_event(
    stack: Stack, tmp_path: Path, point: str
) -> None:
    once = tmp_path / "once"
    once.touch()
    kept = dict(stack.env)
    stack.env.update(
        KILL_AT=point, KILL_ONCE=str(once), PYTHONPATH=f"{INJECTED}:{kept['PYTHONPATH']}"
    )
    stack.processes["api"].stop()
    stack.start("api")
    stack.env.clear()
    stack.env.update(kept)
    stack.wait_ready()
    make_rule(stack, point, f'type == "{point}"', f"/{point}")

    before = len(stack.receiver.heard)
    headers = {"Idempotency-Key": point}
    with pytest.raises(requests.ConnectionError):
        stack.post("/events", {"type": point}, headers=headers)
    killed_at = time.time()
    assert not once.exists()
    stack.eventually(lambda: not stack.processes["api"].alive)
    [(committed,)] = stack.sql("SELECT id::text FROM events WHERE type = %s", point)
    stack.start("api")
    heard = stack.receiver.wait_for(before + 1, DELIVERED_WITHIN)[before:]
    print(f"{point}: delivered {heard[0].at - killed_at:.2f} s after the kill")

    again = stack.eventually(lambda: stack.post("/events", {"type": point}, headers=headers))
    assert (again.status_code, again.json()["id"], again.json()["duplicate"]) == (
        202,
        committed,
        True,
    )
    stack.eventually(lambda: settled(stack))
    assert heard_events(stack.receiver.heard[before:]) == Counter([committed])


def test_a_hundred_posts_with_one_key_at_once_get_one_answer(stack: Stack) -> None:
    everybody = Barrier(100, timeout=60)

    def post(_: int) -> tuple[int, str]:
        everybody.wait()
        until = time.monotonic() + DELIVERED_WITHIN
        while True:
            answer = stack.post("/events", {"type": "once"}, headers={"Idempotency-Key": "hundred"})
            if answer.status_code != 503 or time.monotonic() > until:
                return answer.status_code, answer.json()["id"]
            # A machine that is busy with other tests; a sender would do the same.
            time.sleep(float(answer.headers["Retry-After"]))

    with ThreadPoolExecutor(100) as pool:
        answers = set(pool.map(post, range(100)))
    [(status, event_id)] = answers
    assert status == 202
    assert stack.sql("SELECT id::text FROM events WHERE type = 'once'") == [(event_id,)]
