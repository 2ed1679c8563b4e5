"""One run: a Sentinel under chaos, from the first event to the verdict."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from statistics import quantiles
from uuid import uuid4

import redis
import requests

from tests.chaos import invariants, reading, sender
from tests.chaos.faults import Fault, Heal, nothing, schedule
from tests.chaos.invariants import Evidence, Violation, Window
from tests.chaos.receiver import OK
from tests.chaos.sender import Senders
from tests.chaos.stack import API, ATTEMPTS, CONCURRENCY, ChaosStack

TICK = 0.05
# Between two faults at least; and what a fault may cost around it: the second between two writes of the counts,
# and the write itself.
PAUSE = 0.3
BEFORE, AFTER = 2.0, 2.0
CALM_EVENTS = 200
FLUSHED = 2.5
BAR = 30
SCRAPE_EVERY = 1.0
# At so many events a second at least, everything included, or the run has failed.
SLOWEST = 10
SETTLE_SECONDS = 90
# Of wrong answers, and of what the API logged of them.
SHOWN = 2

Tell = Callable[[str], None]


def nobody(_line: str) -> None:
    """Who watches nothing."""


@dataclass(frozen=True)
class Watcher:
    """Who is told what happens: lines that stay, and one that changes all the time."""

    say: Tell = nobody
    show: Tell = nobody


@dataclass(frozen=True)
class Plan:
    """What is asked for."""

    seed: int
    events: int = 5_000
    kills: int = 20
    # Guards to leave out: then the run must fail.
    without: Sequence[str] = ()


@dataclass
class Outcome:
    """What came of a run."""

    plan: Plan
    violations: list[Violation]
    rows: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        width = max(map(len, self.rows))
        lines = [f"  {name:{width}}  {value}" for name, value in self.rows.items()]
        lines += [f"  {violation}" for violation in self.violations]
        verdict = f"{len(self.violations)} violations" if self.violations else "I1 to I6 hold"
        return "\n".join([*lines, f"  seed {self.plan.seed}: {verdict}"])


@dataclass
class _Injured:
    """A fault under way."""

    fault: Fault
    heal: Heal
    until: float
    since: float


class Run:
    """The parts of a run, in the order of their methods."""

    def __init__(self, plan: Plan, stack: ChaosStack, watcher: Watcher) -> None:
        self._plan, self._stack, self._watcher = plan, stack, watcher
        self._run = uuid4().hex
        self._began = time.monotonic()
        self._random = Random(f"{plan.seed} choices")
        self._senders = Senders(
            stack.api_url, plan.seed, self._run, stack.home.path / "accepted.jsonl"
        )
        self._injured: list[_Injured] = []
        self._windows: list[Window] = []
        self._begun: list[Fault] = []
        self._violations: list[Violation] = []
        self._highest = dict.fromkeys(reading.COUNTED, 0.0)
        self._scraped_at = 0.0
        self._chaos_seconds = self._rest_seconds = 0.0

    def go(self) -> Outcome:
        """All of it; takes bounded time."""
        for name, dsl in sender.rules(self._stack.target).items():
            self._stack.post("/rules", {"name": name, "dsl": dsl}).raise_for_status()
        try:
            self._chaos()
            self._settle()
            calm = self._calm() if not self._violations else {}
        finally:
            self._senders.stop()
        return self._judge(calm)

    def _chaos(self) -> None:
        """Events and faults together; the n-th fault begins at the n-th share of the events."""
        plan = self._plan
        self._senders.total = plan.events
        faults = schedule(plan.seed, plan.kills)
        limit = self._began + 60 + plan.events / SLOWEST
        last = 0.0
        while not self._senders.done or faults or self._injured:
            due = plan.events * (len(self._begun) + 1) / (2 * plan.kills + 2)
            if faults and len(self._senders.accepted) >= due and time.monotonic() - last > PAUSE:
                last = time.monotonic()
                self._injure(faults.pop(0))
            self._tend()
            if time.monotonic() > limit:
                self._violations.append(Violation("I1", "accepting the events takes too long"))
                break
        self._chaos_seconds = time.monotonic() - self._began

    def _injure(self, fault: Fault) -> None:
        since = time.time()
        try:
            heal = fault.begin(self._stack, self._random)
        except (AssertionError, OSError, redis.RedisError):
            # It is being started again just now: that is a fault as well.
            heal = nothing
        seconds = self._random.uniform(*fault.seconds)
        self._begun.append(fault)
        self._injured.append(_Injured(fault, heal, time.monotonic() + seconds, since))
        length = f" for {seconds:.1f} s" if seconds else ""
        self._tell(f"{fault.name}{length}")

    def _tend(self) -> None:
        """Start what has ended, heal what is over, look at the counters."""
        started = time.time()
        if ended := self._stack.keep_alive():
            # Whoever was stopped or cut off before it was killed had more to write down than its last second.
            since = min([started, *(injured.since for injured in self._injured)])
            self._windows.append(Window(since - BEFORE, time.time() + AFTER))
            self._tell(f"    started again: {', '.join(ended)}")
        for injured in [one for one in self._injured if time.monotonic() >= one.until]:
            self._heal(injured)
        if time.monotonic() - self._scraped_at > SCRAPE_EVERY:
            self._scraped_at = time.monotonic()
            self._scrape()
        self._show()
        time.sleep(TICK)

    def _heal(self, injured: _Injured) -> None:
        try:
            injured.heal()
        except redis.RedisError:
            injured.until = time.monotonic() + PAUSE
            return
        self._injured.remove(injured)
        if injured.fault.costs_counts:
            self._windows.append(Window(injured.since - BEFORE, time.time() + AFTER))

    def _scrape(self) -> None:
        """No counter ever falls."""
        with suppress(requests.RequestException):
            answer = requests.get(f"{self._stack.api_url}/metrics", timeout=1)
            if answer.status_code != 200:
                return
            for name, value in reading.counters(answer.text).items():
                if value < self._highest[name]:
                    what = f"{name} fell from {self._highest[name]:.0f} to {value:.0f}"
                    self._violations.append(Violation("I6", what))
                self._highest[name] = max(value, self._highest[name])

    def _settle(self) -> None:
        """Wait until nothing waits."""
        self._tell("at rest? waiting until nothing waits")
        began = time.monotonic()
        limit = began + SETTLE_SECONDS + self._plan.events / SLOWEST
        told = began
        while not self._stack.is_settled() and time.monotonic() < limit:
            self._tend()
            if time.monotonic() - told > 5:
                told = time.monotonic()
                with suppress(Exception):
                    self._tell(
                        "    still waiting: {} events, {} notifications".format(
                            *self._stack.waits()
                        )
                    )
        self._rest_seconds = time.monotonic() - began

    def _calm(self) -> dict[str, tuple[float, float]]:
        """A few events in peace, which every counter counts exactly: what it rose by, and its rows."""
        self._tell(f"{CALM_EVENTS} events in peace")
        before, rows_before = self._counters(), reading.numbers_of_rows(self._stack)
        self._senders.total += CALM_EVENTS
        limit = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < limit and not (self._senders.done and self._stack.is_settled()):
            self._tend()
        after, rows_after = self._counters(), reading.numbers_of_rows(self._stack)
        return {
            name: (after[name] - before[name], rows_after[name] - rows_before[name])
            for name in reading.COUNTED
        }

    def _counters(self) -> dict[str, float]:
        time.sleep(FLUSHED)
        answer = self._stack.eventually(lambda: self._stack.get("/metrics"))
        return reading.counters(answer.text)

    def _judge(self, calm: dict[str, tuple[float, float]]) -> Outcome:
        stack, accepted = self._stack, self._senders.accepted
        seed = self._plan.seed
        seen = Evidence(
            run=self._run,
            accepted=accepted,
            expected={number: sender.expected(seed, number) for number in accepted},
            posts=stack.hears.posts(),
            notifications=reading.notifications(stack),
            stored_events=[key for (key,) in stack.rows("SELECT id::text FROM events")],
            pending_events=[
                key for (key,) in stack.rows("SELECT event_id::text FROM pending_events")
            ],
            attempts_allowed=ATTEMPTS,
            interruptions=sum(fault.interrupts for fault in self._begun),
            concurrency=CONCURRENCY,
            windows=self._windows,
            tallies=reading.tallies(stack, self._counters()),
            calm=calm,
        )
        self._violations += invariants.check(seen)
        if self._senders.wrong:
            wrong = tuple(self._senders.wrong)
            shown = wrong[:SHOWN] + reading.mistakes(stack.processes[API].log)[:SHOWN]
            self._violations.append(
                Violation("answers", f"{len(wrong)} neither 202 nor 503", shown)
            )
        return Outcome(self._plan, self._violations, self._table(seen))

    def _table(self, seen: Evidence) -> dict[str, str]:
        heard = invariants.posts_by_id(seen.posts)
        again = len(seen.posts) - len(heard)
        received = sum(any(post.verdict == OK for post in posts) for posts in heard.values())
        after_success = sum(invariants.repeats(seen.posts).values())
        dead = sum(row.status == "dead" for row in seen.notifications)
        answers = ", ".join(
            f"{count:,} {name}" for name, count in self._senders.answers.most_common()
        )
        p50, p99 = (quantiles(self._senders.seconds, n=100)[at] * 1000 for at in (49, 98))
        kills = sum(fault.is_kill for fault in self._begun)
        tallies = (
            f"{tally.name} {tally.value - len(tally.moments):+,.0f} of {len(tally.moments):,}"
            for tally in seen.tallies
        )
        return {
            "events": f"{len(seen.accepted):,} accepted (K)",
            "faults": f"{kills} kills, {len(self._begun) - kills} other",
            "answers to POST": f"{answers}; 202 within {p50:.0f} ms (median), {p99:,.0f} ms (p99)",
            "no match (N)": f"{sum(not paths for paths in seen.expected.values()):,} events",
            "received (S)": f"{received:,} notifications",
            "dead letters (D)": f"{dead:,}",
            "POSTs": f"{len(seen.posts):,}; repeated {again:,}, of them after a 2xx {after_success}"
            f" (≤ {seen.interruptions} × {seen.concurrency})",
            "counters": "; ".join(tallies),
            "time": f"{self._chaos_seconds:.0f} s of chaos, {self._rest_seconds:.0f} s until rest",
        }

    def _tell(self, what: str) -> None:
        seconds = time.monotonic() - self._began
        self._watcher.say(f"{seconds:7.1f} s {len(self._senders.accepted):9,} accepted   {what}")

    def _show(self) -> None:
        seconds, accepted = time.monotonic() - self._began, len(self._senders.accepted)
        share = accepted / max(self._senders.total, 1)
        bar = "█" * round(share * BAR) + "░" * (BAR - round(share * BAR))
        hurt = ", ".join(injured.fault.name for injured in self._injured)
        self._watcher.show(f"{seconds:7.1f} s {accepted:9,} accepted   {bar} {share:4.0%}  {hurt}")


def go(plan: Plan, watcher: Watcher) -> Outcome:
    """Run a plan on a stack of its own."""
    with ChaosStack(plan.seed, plan.without) as stack:
        return Run(plan, stack, watcher).go()
