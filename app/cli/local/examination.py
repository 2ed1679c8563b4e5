"""What `./sentinel doctor` looks at: each look gives findings, and for what is wrong the fix."""

import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from app.cli.local.trials import DELIVERED, advice, answered
from app.client import ApiError, Client

# A `Date` header has whole seconds, and the answer was under way.
MOST_SKEW: Final = 3.0
GIB: Final = 1 << 30
# Bytes of a disk that are free: with less than the first one should look, with less than the second act.
TIGHT, FULL = 5 * GIB, GIB
MOST_DEAD: Final = 100
STARTS: Final = "`./sentinel up` starts them; docs/scaling.md has the command line"
LATER: Final = "`./sentinel up` starts one some seconds after it is ready; docs/scaling.md has the command line"


class Verdict(StrEnum):
    """How bad it is."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, what was seen, and what to do about it."""

    what: str
    verdict: Verdict
    said: str
    fix: str = ""


def examine(
    client: Client, folders: Iterable[Path], now: Callable[[], datetime], *, trying: bool = False
) -> Iterator[Finding]:
    """All findings, in the order in which one would look; what cannot be asked is left out."""
    yield from disks(folders)
    try:
        components, clock = client.ready()
        yield Finding("API", Verdict.GOOD, "answers")
        yield from parts(components)
        if clock is not None:
            yield skew((clock.astimezone(UTC) - now()).total_seconds())
        if is_whole(components):
            sends = components["broker"] == "up" and components["workers"].get("notifications")
            yield from tried(client) if trying and sends else channels(client)
            if trying and not sends:
                yield Finding("Trial of channels", Verdict.BAD, "nobody sends", STARTS)
            yield dead_letters(client)
    except ApiError as error:
        yield refused(error)


def refused(error: ApiError) -> Finding:
    """What it means that the API gave no answer, or none that helps."""
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        fix = "set SENTINEL_API_KEY to a key that may `read`, and with --channels also `write`"
        return Finding("Key", Verdict.BAD, str(error), fix)
    fix = "`./sentinel up`, or set SENTINEL_URL to where it is; else its log says more"
    return Finding("API", Verdict.BAD, str(error), fix)


def parts(components: Mapping[str, Any]) -> Iterator[Finding]:
    """The servers behind the API, and the workers."""
    up = components["database"] == "up"
    fix = "start PostgreSQL, and look at DATABASE_URL"
    if components["database"] == "read-only":
        fix = "let DATABASE_URL lead to the primary; where it does, look at that one's disk"
    yield _found("Database", up, components["database"], fix)
    if up:
        fix = "`flask --app wsgi db upgrade`"
        yield _found("Schema", _is_current(components), components["migrations"], fix)
    up = components["broker"] == "up"
    fix = "start Redis or RabbitMQ, and look at CELERY_BROKER_URL; events are kept meanwhile"
    if components["broker"] == "read-only":
        fix = "let CELERY_BROKER_URL lead to the primary; where it does, Redis is full: look at its maxmemory and disk"
    yield _found("Broker", up, components["broker"], fix)
    if is_whole(components):
        yield from working(components["workers"])


def is_whole(components: Mapping[str, Any]) -> bool:
    """Whether the database can be asked for all that it holds."""
    return components["database"] == "up" and _is_current(components)


def working(workers: Mapping[str, int]) -> Iterator[Finding]:
    """Whether each queue has somebody who serves it."""
    for queue in ("events", "notifications"):
        count = workers.get(queue, 0)
        yield _found(f"Workers of {queue}", count > 0, f"{count} alive", STARTS)
    if not workers.get("backtests"):
        yield Finding("Workers of backtests", Verdict.WARNING, "0 alive: backtests wait", LATER)


def skew(seconds: float) -> Finding:
    """How far the server's clock is from this one."""
    if abs(seconds) <= MOST_SKEW:
        return Finding("Clock", Verdict.GOOD, "agrees with the server's")
    said = f"the server's is {abs(seconds):.0f} s {'ahead' if seconds > 0 else 'behind'}"
    return Finding(
        "Clock", Verdict.WARNING, said, "let both follow NTP: windows and signatures go by the time"
    )


def channels(client: Client) -> Iterator[Finding]:
    """Each channel that is not well."""
    found = client.channels()
    wrong = [finding for one in found if (finding := _channel(client, one))]
    yield from wrong
    if not wrong:
        said = f"{len(found)}, none of which fails" if found else "none"
        yield Finding("Channels", Verdict.GOOD, said)


def tried(client: Client) -> Iterator[Finding]:
    """What the receiver of each channel answers to a message sent now; those that somebody switched off are let be."""
    found = [one for one in client.channels() if one["enabled"] or one["disabled_reason"]]
    for one in found:
        target = f"{one['kind']}:{one['name']}"
        answer = client.test_channel(target)
        good = answer["outcome"] == DELIVERED
        told = "" if good else answer["detail"] or ""
        said = ": ".join(filter(None, (answered(answer), told)))
        yield _found(f"Channel {target}", good, said, advice(answer))
    if not found:
        yield Finding("Channels", Verdict.GOOD, "none")


def dead_letters(client: Client) -> Finding:
    """Whether somebody was not told."""
    dead = len(client.notifications(MOST_DEAD, status="dead"))
    if not dead:
        return Finding("Dead letters", Verdict.GOOD, "none")
    count = f"{dead} or more" if dead == MOST_DEAD else str(dead)
    fix = "`./sentinel notification list --status dead` says why, `notification retry --all` tries again"
    return Finding("Dead letters", Verdict.WARNING, count, fix)


def disks(folders: Iterable[Path]) -> Iterator[Finding]:
    """What is left where a local Sentinel keeps its data, once a disk; nothing where there are none."""
    seen = set()
    for folder in filter(Path.exists, folders):
        if (device := folder.stat().st_dev) not in seen:
            seen.add(device)
            yield disk(folder)


def disk(folder: Path) -> Finding:
    """What is left where a folder lies."""
    free = shutil.disk_usage(folder).free
    said = f"{free / GIB:.1f} GiB free"
    if free >= TIGHT:
        return Finding("Disk", Verdict.GOOD, said)
    verdict = Verdict.BAD if free < FULL else Verdict.WARNING
    fix = "make room, or keep less: SENTINEL_RETENTION_EVENTS"
    return Finding("Disk", verdict, f"{said} where {folder} lies", fix)


def _channel(client: Client, one: Mapping[str, Any]) -> Finding | None:
    target = f"{one['kind']}:{one['name']}"
    word = shlex.quote(target)
    test = f"`./sentinel channel test {word}` shows the answer"
    if not one["enabled"]:
        # Who switched it off by hand knows.
        if not one["disabled_reason"]:
            return None
        fix = f"{test}; then `channel enable {word}`"
        said = f"switched off: {one['disabled_reason']}"
        return Finding(f"Channel {target}", Verdict.BAD, said, fix)
    receiver = client.channel(target)["receiver"]
    if receiver["state"] == "well":
        return None
    said = (
        f"{receiver['state']}: {receiver['failures']} failures in a row, {receiver['waiting']} wait"
    )
    return Finding(f"Channel {target}", Verdict.WARNING, said, test)


def _is_current(components: Mapping[str, Any]) -> bool:
    return components["migrations"] in ("current", "newer")


def _found(what: str, good: bool, said: str, fix: str) -> Finding:
    return Finding(what, Verdict.GOOD if good else Verdict.BAD, said, "" if good else fix)
