"""The console at a million stored events: how long its pages take, what they weigh, and what open tails cost POSTs."""

import multiprocessing
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html import unescape
from multiprocessing.synchronize import Event
from statistics import median, quantiles
from typing import Final

import requests

from bench.past import fill
from bench.throughput import outcome
from bench.throughput.events import event
from bench.throughput.load import request, run
from bench.throughput.outcome import Outcome
from tests.acceptance.stack import Stack
from tests.acceptance.visits import crawl

CALLS: Final = 20
PAGE: Final = 150.0
TAILS: Final = 40
EACH: Final = 1.0
POST: Final = 50.0
CONNECTIONS, RATE = 16, 100
SECONDS: Final = 20.0
WEIGHT, WITH_EDITOR = 75.0, 220.0
EDITOR: Final = "editor"
KILO: Final = 1000
TAIL: Final = re.compile(r'id="tail"[^>]*hx-get="([^"]+)"')
ASSET: Final = re.compile(r'"(/console/static/[^"#]+)')
TIMEOUT: Final = 60

Say = Callable[[str], None]


def measure(events: int, say: Say) -> Iterator[Outcome]:
    """Fill a fresh stack, then ask for every page that links lead to, and let tails run beside POSTs."""
    with Stack() as stack:
        began = time.monotonic()
        fill(stack, events, datetime.now(UTC))
        say(f"{events:,} events and what came of them, written in {time.monotonic() - began:.0f} s")
        pages = {name: paths[0] for name, paths in crawl(stack.api_url).items()}
        with requests.Session() as session:
            yield from times(session, stack.api_url, pages)
            yield from weights(session, stack.api_url, pages)
        yield from beside_tails(stack, say)


def times(session: requests.Session, base: str, pages: dict[str, str]) -> Iterator[Outcome]:
    """Milliseconds of each page, the median of some calls on one connection."""
    for name, path in sorted(pages.items()):
        one(session, base + path)
        took = [one(session, base + path) for _ in range(CALLS)]
        yield outcome.most(f"`{name}`", "ms", median(took) * KILO, PAGE)


def one(session: requests.Session, url: str) -> float:
    """Seconds of a call."""
    began = time.perf_counter()
    session.get(url, timeout=TIMEOUT).raise_for_status()
    return time.perf_counter() - began


def weights(session: requests.Session, base: str, pages: dict[str, str]) -> Iterator[Outcome]:
    """The heaviest page of each sort, with all that it asks for, as transferred."""
    without: dict[str, float] = {}
    with_editor: dict[str, float] = {}
    for name, path in pages.items():
        size, assets = transferred(session, base + path)
        found = sorted(set(map(unescape, ASSET.findall(assets))))
        whole = (size + sum(transferred(session, base + asset)[0] for asset in found)) / KILO
        (with_editor if any(EDITOR in asset for asset in found) else without)[name] = whole
    for some, goal in ((without, WEIGHT), (with_editor, WITH_EDITOR)):
        if some:
            heaviest = max(some, key=lambda name: some[name])
            yield outcome.most(f"weight of `{heaviest}`", "kB", some[heaviest], goal)


def transferred(session: requests.Session, url: str) -> tuple[int, str]:
    """The bytes of a body as they came, and its text."""
    answer = session.get(url, timeout=TIMEOUT, headers={"Accept-Encoding": "gzip"})
    answer.raise_for_status()
    return int(answer.headers["Content-Length"]), answer.text


def beside_tails(stack: Stack, say: Say) -> Iterator[Outcome]:
    """POSTs at a rate, without tails and with them; these run in a process of their own, as browsers do."""
    posted(stack, 2.0)
    alone = posted(stack, SECONDS / 2)
    context = multiprocessing.get_context("spawn")
    stop, told = context.Event(), context.SimpleQueue()
    process = context.Process(target=follow, args=(stack.api_url, stop, told))
    process.start()
    told.get()
    beside = posted(stack, SECONDS)
    stop.set()
    polls, slow = told.get()
    process.join()
    say(f"{polls:,} answers to {TAILS} tails, p95 {slow * KILO:.1f} ms")
    if polls < TAILS * SECONDS / 4:
        raise SystemExit("the tails did not run")
    what = f"p95 of POST at {RATE}/s"
    yield outcome.most(f"{what}, no tail open", "ms", p95(alone), None)
    yield outcome.most(f"{what}, {TAILS} tails open", "ms", p95(beside), POST)
    yield outcome.most(f"p95 of a tail's answer, {TAILS} open", "ms", slow * KILO, None)


def posted(stack: Stack, seconds: float) -> list[float]:
    """Seconds of each POST."""
    made = [request("/events", event(number)) for number in range(500)]
    load = run(stack.ports.api, lambda number: made[number % 500], CONNECTIONS, seconds, RATE)
    if not load.rate:
        raise SystemExit("nothing was posted")
    return [answer.seconds for answer in load.answers]


def p95(seconds: list[float]) -> float:
    """In milliseconds."""
    return quantiles(seconds, n=20)[18] * KILO


def follow(base: str, stop: Event, told: "multiprocessing.SimpleQueue[object]") -> None:
    """Tails as browsers have them: each asks once a second from where it has got to."""
    seconds: list[float] = []
    threads = [
        threading.Thread(target=_tail, args=(base, stop, seconds, number / TAILS))
        for number in range(TAILS)
    ]
    for thread in threads:
        thread.start()
    time.sleep(2 * EACH)
    told.put(len(seconds))
    for thread in threads:
        thread.join()
    told.put((len(seconds), quantiles(seconds, n=20)[18]))


def _tail(base: str, stop: Event, seconds: list[float], late: float) -> None:
    with requests.Session() as session:
        place = _next(session.get(f"{base}/console/events?live=1", timeout=TIMEOUT).text, "")
        time.sleep(late)
        while not stop.wait(EACH):
            began = time.perf_counter()
            answer = session.get(base + place, timeout=TIMEOUT, headers={"HX-Request": "true"})
            seconds.append(time.perf_counter() - began)
            place = _next(answer.text, place)


def _next(html: str, place: str) -> str:
    """Where the tail goes on; where nothing came it stays."""
    found = TAIL.search(html)
    return unescape(found[1]) if found else place
