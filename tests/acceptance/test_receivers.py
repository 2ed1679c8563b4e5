"""Through real servers and a real receiver: what one receiver does is no other receiver's problem."""

import json
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Event, Lock
from typing import Any

import pytest
import requests
from click.testing import CliRunner

from app.cli.__main__ import sentinel
from tests.acceptance.receiver import Answer, Heard
from tests.acceptance.stack import Stack

pytestmark = pytest.mark.acceptance

ENV = {
    "SENTINEL_RETRY_BASE": "0.2",
    "SENTINEL_RETRY_FACTOR": "1",
    "SENTINEL_RETRY_ATTEMPTS": "7",
    "SENTINEL_CIRCUIT_PAUSE": "0.2",
    "SENTINEL_CIRCUIT_PAUSE_MAX": "0.4",
}
OTHERS, EACH, QUEUED = 49, 4, 200
# docs/guarantees.md has the figures of RATE=100 REST_SECONDS=60.
RATE = int(os.environ.get("RATE") or 50)
REST_SECONDS = int(os.environ.get("REST_SECONDS") or 10)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(env=ENV) as running:
        yield running


@pytest.fixture(autouse=True)
def quiet_receiver(stack: Stack) -> None:
    stack.receiver.heard.clear()
    stack.receiver.answer = lambda _heard: Answer()


def make_channel(stack: Stack, name: str, **config: Any) -> None:
    config = {"url": f"{stack.receiver.url}/{name}", **config}
    made = stack.post("/channels", {"name": name, "kind": "webhook", "config": config})
    assert made.status_code == 201, made.text
    dsl = f'when type == "{name}" then notify("webhook:{name}")'
    assert stack.post("/rules", {"name": name, "dsl": dsl}).status_code == 201


def send(stack: Stack, name: str, count: int = 1) -> None:
    for _ in range(count):
        assert stack.post("/events", {"type": name}).status_code == 202


def heard(stack: Stack, name: str) -> list[Heard]:
    return [one for one in list(stack.receiver.heard) if one.path == f"/{name}"]


def statuses(stack: Stack, name: str) -> list[tuple[str, str | None]]:
    rows = stack.sql(
        "SELECT status, reason FROM notifications WHERE receiver = %s ORDER BY id",
        f"webhook:{name}",
    )
    return [(status, reason) for status, reason in rows]


def test_one_of_fifty_hangs_with_a_queue_and_the_others_wait_no_longer_for_it(
    stack: Stack,
) -> None:
    def answer(one: Heard) -> Answer:
        if one.path == "/hangs":
            time.sleep(20)
        return Answer()

    stack.receiver.answer = answer
    make_channel(stack, "hangs")
    for number in range(OTHERS):
        make_channel(stack, f"well{number}")
    alone = slowest_percent(stack)
    send(stack, "hangs", QUEUED)
    stack.eventually(lambda: len(statuses(stack, "hangs")) == QUEUED, seconds=90)
    # What this machine takes anyway is not the hanging one's doing.
    assert slowest_percent(stack) <= 2 + alone
    # At most the cap at a time, whatever waits.
    assert len(heard(stack, "hangs")) <= 8 * (1 + (time.time() - heard(stack, "hangs")[0].at) // 15)


def test_at_rest_all_arrive_while_one_of_fifty_hangs(stack: Stack) -> None:
    def answer(one: Heard) -> Answer:
        if one.path == "/stuck":
            time.sleep(20)
        return Answer()

    stack.receiver.answer = answer
    for name in ("stuck", *(f"rest{number}" for number in range(OTHERS))):
        make_channel(stack, name)
    sent: dict[str, float] = {}

    def post(number: int) -> None:
        time.sleep(max(0.0, began + number / RATE - time.time()))
        name = "stuck" if number % 50 == 0 else f"rest{number % 50 - 1}"
        at = time.time()
        answer = stack.post("/events", {"type": name})
        assert answer.status_code == 202
        if name != "stuck":
            sent[answer.json()["id"]] = at

    began = time.time()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(post, range(RATE * REST_SECONDS)))
    stack.eventually(lambda: len(at_rest(stack)) >= len(sent), seconds=60)
    waited = sorted(one.at - sent[one.json["data"]["event"]["id"]] for one in at_rest(stack))
    middle, last = waited[len(waited) // 2], waited[int(0.99 * len(waited))]
    print(f"at rest, {RATE}/s: p50 {middle:.3f} s, p99 {last:.3f} s of {len(waited)}")
    assert len(waited) == len(sent)


class Together:
    """Keeps each request until so many are inside at once; or for some seconds, where too few come."""

    def __init__(self, count: int) -> None:
        self._count, self._inside, self._lock = count, 0, Lock()
        self._met = Event()

    @property
    def met(self) -> bool:
        return self._met.is_set()

    def __call__(self, _heard: Heard) -> Answer:
        with self._lock:
            self._inside += 1
            if self._inside >= self._count:
                self._met.set()
        self._met.wait(10)
        with self._lock:
            self._inside -= 1
        return Answer()


def send_at_once(stack: Stack, names: Sequence[str]) -> None:
    """Events in one batch, which are evaluated together."""
    lines = "\n".join(json.dumps({"type": name}) for name in names)
    kind = {"Content-Type": "application/x-ndjson"}
    assert (
        requests.post(f"{stack.api_url}/events", data=lines, headers=kind, timeout=30).status_code
        == 202
    )


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
def test_what_waits_for_a_slow_receiver_is_sent_by_as_many_threads_as_it_may_get(
    stack: Stack, known: bool
) -> None:
    name = f"slow-{known}"
    make_channel(stack, name)

    def slow(_heard: Heard) -> Answer:
        time.sleep(0.1)
        return Answer()

    if known:
        stack.receiver.answer = slow
        send(stack, name)
        stack.eventually(lambda: statuses(stack, name) == [("sent", None)])
    stack.receiver.answer = together = Together(8)
    send_at_once(stack, [name] * 8)
    stack.eventually(lambda: statuses(stack, name) == [("sent", None)] * (8 + known))
    assert together.met


def test_hundreds_are_under_way_while_many_receivers_are_slow() -> None:
    count = 200
    with Stack(env={"SENTINEL_DELIVERY_THREADS": "240"}) as stack:
        names = [f"slow{number}" for number in range(count // 8)]
        for name in names:
            make_channel(stack, name)
        stack.receiver.answer = together = Together(count)
        # Twice as many: a worker that is not quick enough for the first has the others beside the last of them.
        send_at_once(stack, names * 16)
        stack.eventually(lambda: together.met, seconds=60)
        sent = "SELECT count(*) FROM notifications WHERE status = 'sent'"
        stack.eventually(lambda: stack.sql(sent) == [(2 * count,)], seconds=60)


def at_rest(stack: Stack) -> list[Heard]:
    return [one for one in list(stack.receiver.heard) if one.path.startswith("/rest")]


def slowest_percent(stack: Stack) -> float:
    """Seconds from the pending row to the request for all but one in a hundred, of all that are well."""
    before, counted = len(others(stack)), OTHERS * EACH
    for _ in range(EACH):
        for number in range(OTHERS):
            send(stack, f"well{number}")
    stack.eventually(lambda: len(others(stack)) >= before + counted, seconds=90)
    made = dict(stack.sql("SELECT id::text, created_at FROM notifications"))
    waited = sorted(
        one.at - made[one.headers["webhook-id"]].timestamp() for one in others(stack)[before:]
    )
    return float(waited[int(0.99 * counted)])


def others(stack: Stack) -> list[Heard]:
    return [one for one in list(stack.receiver.heard) if one.path != "/hangs"]


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept_to_the_second_by_the_whole_receiver(stack: Stack, form: str) -> None:
    name = f"asks-{form}"
    make_channel(stack, name)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=7)
    value = "5" if form == "seconds" else format_datetime(until, usegmt=True)
    stack.receiver.answer = lambda one: (
        Answer(429, (("Retry-After", value),)) if len(heard(stack, name)) == 1 else Answer()
    )
    send(stack, name)
    stack.receiver.wait_for(1)
    stack.eventually(lambda: channel(stack, name)["receiver"]["state"] == "held")
    send(stack, name, 3)
    stack.eventually(lambda: [status for status, _ in statuses(stack, name)] == ["sent"] * 4)
    first, *later = heard(stack, name)
    earliest = first.at + 5 if form == "seconds" else until.timestamp()
    assert min(one.at for one in later) >= earliest - 0.5
    assert len(later) == 4


def channel(stack: Stack, name: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.get(f"/channels/{name}").json()
    return found


@pytest.mark.parametrize(("value", "seconds"), [("0", None), ("1e9", 86_400)])
def test_a_senseless_retry_after_is_none_or_a_day(
    stack: Stack, value: str, seconds: int | None
) -> None:
    name = f"senseless-{value}"
    make_channel(stack, name)
    stack.receiver.answer = lambda one: (
        Answer(429, (("Retry-After", value),)) if len(heard(stack, name)) == 1 else Answer()
    )
    send(stack, name)
    if seconds is None:
        stack.eventually(lambda: statuses(stack, name) == [("sent", None)])
        return
    held = stack.eventually(lambda: channel(stack, name)["receiver"]["held_until"])
    left = datetime.fromisoformat(held).timestamp() - time.time()
    assert seconds - 60 < left <= seconds


def test_5xx_for_ever_is_exactly_as_many_attempts_as_set_circuit_or_not(stack: Stack) -> None:
    make_channel(stack, "down")
    stack.receiver.answer = lambda _heard: Answer(500)
    send(stack, "down")
    ended = ("dead", "HTTP 500")
    stack.eventually(lambda: statuses(stack, "down") == [ended], seconds=60)
    assert len(heard(stack, "down")) == 7
    shown = channel(stack, "down")["receiver"]
    assert (shown["state"], shown["held_for"], shown["failures"]) == ("held", "circuit", 7)


def test_a_redirect_is_not_followed_and_not_repeated(stack: Stack) -> None:
    make_channel(stack, "moved")
    stack.receiver.answer = lambda _heard: Answer(307, (("Location", "/elsewhere"),))
    send(stack, "moved")
    stack.eventually(lambda: [status for status, _ in statuses(stack, "moved")] == ["dead"])
    # Those that hang come again whenever their pause is over.
    assert [one.path for one in stack.receiver.heard if one.path != "/hangs"] == ["/moved"]


def test_410_disables_the_channel_and_a_rule_hears_of_it(stack: Stack) -> None:
    make_channel(stack, "gone")
    make_channel(stack, "ops")
    dsl = 'when type == "sentinel.channel.disabled" then notify("webhook:ops")'
    assert stack.post("/rules", {"name": "Meta", "dsl": dsl}).status_code == 201
    stack.receiver.answer = lambda one: Answer(410 if one.path == "/gone" else 200)
    send(stack, "gone")
    [told] = stack.eventually(lambda: heard(stack, "ops"))
    assert told.json["data"]["event"]["body"]["channel"] == "webhook:gone"
    assert channel(stack, "gone")["enabled"] is False
    send(stack, "gone")
    dead = [("dead", "HTTP 410"), ("dead", "channel_disabled")]
    stack.eventually(lambda: statuses(stack, "gone") == dead)
    assert len(heard(stack, "gone")) == 1

    stack.receiver.answer = lambda _heard: Answer()
    assert stack.patch("/channels/gone", {"enabled": True}).status_code == 200
    env = {"SENTINEL_URL": stack.api_url}
    words = ["notification", "retry", "--channel", "webhook:gone", "--json"]
    said = CliRunner().invoke(sentinel, words, env=env)
    assert (said.exit_code, json.loads(said.output)) == (0, {"retried": 2})
    stack.eventually(lambda: [status for status, _ in statuses(stack, "gone")] == ["sent"] * 2)
    ids = [one.headers["webhook-id"] for one in heard(stack, "gone")]
    assert (len(ids), len(set(ids))) == (3, 2)
    words = ["notification", "list", "--channel", "webhook:gone", "--status", "sent"]
    shown = CliRunner().invoke(sentinel, words, env=env).output
    assert all(key in shown for key in ids)


def test_a_limited_channel_keeps_its_pace(stack: Stack) -> None:
    make_channel(stack, "paced", rate_limit="2/s", rate_burst=1)
    send(stack, "paced", 6)
    stack.eventually(lambda: len(heard(stack, "paced")) == 6)
    times = [one.at for one in heard(stack, "paced")]
    # Five pauses of half a second; a message may be late, and the next one on time.
    assert times[-1] - times[0] >= 2.0
    attempts = stack.sql(
        "SELECT DISTINCT attempts FROM notifications WHERE receiver = 'webhook:paced'"
    )
    assert attempts == [(1,)]


def test_a_test_of_a_channel_shows_the_receivers_real_answer(stack: Stack) -> None:
    make_channel(stack, "tried")
    stack.receiver.answer = lambda _heard: Answer(418, body=b"a teapot")
    shown = stack.post("/channels/tried/test")
    assert shown.status_code == 200, shown.text
    body = shown.json()
    assert (body["outcome"], body["status_code"]) == ("permanent", 418)
    assert (body["detail"], body["response"]) == ("HTTP 418", "a teapot")
    [request] = heard(stack, "tried")
    assert (request.json["type"], request.headers["webhook-id"]) == ("channel.test", body["id"])
    assert "webhook-signature" in request.headers
    stack.receiver.answer = lambda _heard: Answer()
    assert stack.post("/channels/webhook:tried/test").json()["outcome"] == "delivered"
    assert len(heard(stack, "tried")) == 2
