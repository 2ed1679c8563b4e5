"""What is read at rest for the checks: rows, and the counters of `/metrics`."""

import re
from collections import defaultdict
from typing import Any

from tests.chaos.invariants import Attempt, Notification, Tally
from tests.chaos.stack import ChaosStack

INGESTED, TRIGGERED, SENT = (
    "events_ingested_total",
    "rules_triggered_total",
    "notifications_sent_total",
)
# Each counter, and the moments of the rows that it counts.
COUNTED = {
    INGESTED: "SELECT accepted_at FROM events",
    TRIGGERED: "SELECT matched_at FROM matches",
    SENT: "SELECT finished_at FROM notifications WHERE finished_at IS NOT NULL",
}
# A retry of a POST whose 202 was lost is no new row.
LABELS = {INGESTED: 'outcome="accepted"', TRIGGERED: "", SENT: ""}


def counters(text: str) -> dict[str, float]:
    """The three counters, each summed over its labels."""
    sums: dict[str, float] = dict.fromkeys(COUNTED, 0.0)
    for name, labels, value in re.findall(r"^(\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
        if name in sums and LABELS[name] in labels:
            sums[name] += float(value)
    return sums


def tallies(stack: ChaosStack, values: dict[str, float]) -> list[Tally]:
    """The counters beside their rows."""
    return [
        Tally(name, values[name], tuple(moment.timestamp() for (moment,) in stack.rows(query)))
        for name, query in COUNTED.items()
    ]


def numbers_of_rows(stack: ChaosStack) -> dict[str, float]:
    """How many rows each counter should have counted."""
    return {
        name: float(stack.rows(f"SELECT count(*) FROM ({query}) AS counted")[0][0])
        for name, query in COUNTED.items()
    }


def notifications(stack: ChaosStack) -> list[Notification]:
    """All notifications with their attempts."""
    attempts: dict[Any, list[Attempt]] = defaultdict(list)
    query = "SELECT notification_id, number, started_at, outcome, status_code FROM attempts ORDER BY 1, 2"
    for key, *row in stack.rows(query):
        attempts[key].append(Attempt(*row))
    rows = stack.rows("SELECT id, cause_id, target, status FROM notifications")
    return [
        Notification(
            str(key), str(cause), f"/{target.rpartition('/')[2]}", status, tuple(attempts[key])
        )
        for key, cause, target, status in rows
    ]


def mistakes(log: str) -> tuple[str, ...]:
    """What the API wrote of requests that it could not answer as it should, each with its traceback."""
    return tuple(
        re.findall(r"^.*Exception on .*(?:\n(?!\[|\{).*)*|^.*request_failed.*$", log, re.M)
    )
