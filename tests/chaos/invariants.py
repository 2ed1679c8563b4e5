"""I1 to I6, checked from the receiver's own log and the database at rest.

Each check is a pure function of what was read, so that `test_invariants.py` can show each of them a lie.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.chaos.receiver import OK, Post

Key = tuple[int, str]
EVIDENCE = 5


@dataclass(frozen=True)
class Violation:
    """One broken promise, with what shows it."""

    invariant: str
    what: str
    evidence: tuple[object, ...] = ()

    def __str__(self) -> str:
        shown = "".join(f"\n      {one}" for one in self.evidence[:EVIDENCE])
        more = len(self.evidence) - EVIDENCE
        return f"{self.invariant}: {self.what}{shown}" + (f"\n      … {more} more" * (more > 0))


@dataclass(frozen=True)
class Attempt:
    """A row of `attempts`."""

    number: int
    started_at: datetime
    outcome: str
    status_code: int | None


@dataclass(frozen=True)
class Notification:
    """A row of `notifications`, with its attempts in order."""

    id: str
    event_id: str
    path: str
    status: str
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True)
class Window:
    """A time in which a fault may have taken counts with it."""

    start: float
    end: float


@dataclass(frozen=True)
class Tally:
    """A counter's value, and the moments of the rows that it should have counted."""

    name: str
    value: float
    moments: tuple[float, ...]


@dataclass
class Evidence:
    """All that the checks look at."""

    run: str
    # K: the number of each event that was answered 202, and the id in the answer.
    accepted: Mapping[int, str]
    # What the rules say: the paths that must hear of each event; N are those without.
    expected: Mapping[int, Sequence[str]]
    posts: Sequence[Post]
    notifications: Sequence[Notification]
    stored_events: Sequence[str]
    pending_events: Sequence[str] = ()
    attempts_allowed: int = 0
    # Faults that can part an attempt from its record, and how many attempts each may have met.
    interruptions: int = 0
    concurrency: int = 1
    windows: Sequence[Window] = ()
    tallies: Sequence[Tally] = ()
    calm: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def check(seen: Evidence) -> list[Violation]:
    """Every broken promise."""
    return [
        *nothing_lost(seen),
        *nothing_invented(seen),
        *one_success_each(seen.notifications),
        *posts_explained(seen.posts, seen.notifications),
        *repeats_bounded(seen),
        *at_rest(seen),
        *counts_add_up(seen),
    ]


def nothing_lost(seen: Evidence) -> Iterator[Violation]:
    """I1: every accepted event was received by all whom its rules name, is a dead letter, or matches nothing."""
    received = {(post.number, post.path) for post in seen.posts if post.verdict == OK}
    numbers = {event_id: number for number, event_id in seen.accepted.items()}
    rows = {(numbers.get(row.event_id, -1), row.path): row for row in seen.notifications}
    dead = {key for key, row in rows.items() if row.status == "dead"}
    wanted = {(number, path) for number in seen.accepted for path in seen.expected[number]}
    lost = sorted(wanted - received - dead)
    if lost:
        told = tuple((key, seen.accepted[key[0]], rows.get(key)) for key in lost)
        yield Violation("I1", f"{len(lost)} lost: neither received nor a dead letter", told)
    unwritten = sorted(set(seen.accepted.values()) - set(seen.stored_events))
    if unwritten:
        yield Violation("I1", f"{len(unwritten)} answered 202 and not stored", tuple(unwritten))
    early = [
        row for row in seen.notifications if row.status == "dead" and not _was_tried(row, seen)
    ]
    if early:
        yield Violation("I1", f"{len(early)} given up too early", tuple(early))


def _was_tried(row: Notification, seen: Evidence) -> bool:
    """Whether a dead letter had all its attempts, or was refused for good."""
    refused = any(400 <= (attempt.status_code or 0) < 500 for attempt in row.attempts)
    return refused or len(row.attempts) >= seen.attempts_allowed


def nothing_invented(seen: Evidence) -> Iterator[Violation]:
    """I2: whatever was received, stored or notified comes from one event that was sent, once."""
    ids = set(seen.accepted.values())
    strange = [
        post
        for post in seen.posts
        if post.run != seen.run
        or seen.accepted.get(post.number) != post.event_id
        or post.path not in seen.expected[post.number]
    ]
    if strange:
        yield Violation("I2", f"{len(strange)} POSTs of nothing that was sent", tuple(strange))
    extra = [
        key for key, times in Counter(seen.stored_events).items() if key not in ids or times > 1
    ]
    if extra:
        yield Violation("I2", f"{len(extra)} stored events that nobody sent", tuple(extra))
    doubled = _doubled((row.event_id, row.path) for row in seen.notifications)
    if doubled:
        yield Violation("I2", f"{len(doubled)} notifications made twice", tuple(doubled))


def _doubled(keys: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [key for key, times in Counter(keys).items() if times > 1]


def one_success_each(notifications: Sequence[Notification]) -> Iterator[Violation]:
    """I3: at most one 2xx is recorded per notification; one where it is sent, none where it is dead."""
    wrong = [
        row
        for row in notifications
        if sum(attempt.outcome == "sent" for attempt in row.attempts) != (row.status == "sent")
    ]
    if wrong:
        yield Violation("I3", f"{len(wrong)} with a wrong number of recorded 2xx", tuple(wrong))


def posts_explained(
    posts: Sequence[Post], notifications: Sequence[Notification]
) -> Iterator[Violation]:
    """I4: the n-th POST of an id has n attempts begun before it; none follows one that was recorded as sent."""
    rows = {row.id: row for row in notifications}
    unexplained: list[object] = []
    for webhook_id, heard in posts_by_id(posts).items():
        row = rows.get(webhook_id)
        begun = sorted(attempt.started_at.timestamp() for attempt in row.attempts) if row else []
        times = [post.at for post in heard]
        if len(times) > len(begun) or any(
            at < start for at, start in zip(times, begun, strict=False)
        ):
            unexplained.append((webhook_id, times, row))
    if unexplained:
        yield Violation(
            "I4", f"{len(unexplained)} ids with a POST without its attempt", tuple(unexplained)
        )
    after = [row for row in notifications if _goes_on_after_success(row)]
    if after:
        yield Violation("I4", f"{len(after)} attempted again after a recorded 2xx", tuple(after))


def _goes_on_after_success(row: Notification) -> bool:
    return any(attempt.outcome == "sent" for attempt in row.attempts[:-1])


def posts_by_id(posts: Sequence[Post]) -> dict[str, list[Post]]:
    """Each id's POSTs, in order of arrival."""
    heard: dict[str, list[Post]] = defaultdict(list)
    for post in sorted(posts, key=lambda post: post.at):
        heard[post.webhook_id].append(post)
    return heard


def repeats(posts: Sequence[Post]) -> dict[str, int]:
    """How many POSTs came to each id after one that was answered 2xx."""
    found = {}
    for webhook_id, heard in posts_by_id(posts).items():
        first = next((at for at, post in enumerate(heard) if post.verdict == OK), len(heard))
        if heard[first + 1 :]:
            found[webhook_id] = len(heard) - first - 1
    return found


def repeats_bounded(seen: Evidence) -> Iterator[Violation]:
    """I4: each POST after a 2xx has an attempt of unknown or failed outcome, and all are ≤ faults × concurrency."""
    rows = {row.id: row for row in seen.notifications}
    found = repeats(seen.posts)
    unexplained = [
        (webhook_id, times, rows.get(webhook_id))
        for webhook_id, times in found.items()
        if times > _unsettled(rows.get(webhook_id))
    ]
    if unexplained:
        yield Violation("I4", f"{len(unexplained)} repeated for no reason", tuple(unexplained))
    total, most = sum(found.values()), seen.interruptions * seen.concurrency
    if total > most:
        yield Violation("I4", f"{total} repeats, more than {most}", tuple(found.items()))


def _unsettled(row: Notification | None) -> int:
    return sum(attempt.outcome != "sent" for attempt in row.attempts) if row else 0


def at_rest(seen: Evidence) -> Iterator[Violation]:
    """I5: at rest nothing waits, so nothing is overdue."""
    if seen.pending_events:
        waiting = tuple(seen.pending_events)
        yield Violation("I5", f"{len(waiting)} events still wait", waiting)
    rows = tuple(row for row in seen.notifications if row.status == "pending")
    if rows:
        yield Violation("I5", f"{len(rows)} notifications still wait", rows)


def counts_add_up(seen: Evidence) -> Iterator[Violation]:
    """I6: a counter differs from its rows by those that a fault's window holds, and in peace by none."""
    for tally in seen.tallies:
        total = len(tally.moments)
        unsure = sum(_is_within(moment, seen.windows) for moment in tally.moments)
        if not total - unsure <= tally.value <= total + unsure:
            what = f"{tally.name} is {tally.value:,.0f}; rows: {total:,} ({unsure:,} near a fault)"
            yield Violation("I6", what)
    for name, (counted, rows) in seen.calm.items():
        if counted != rows:
            yield Violation(
                "I6", f"{name} rose by {counted:,.0f} in peace, its rows by {rows:,.0f}"
            )


def _is_within(moment: float, windows: Sequence[Window]) -> bool:
    return any(window.start <= moment <= window.end for window in windows)
