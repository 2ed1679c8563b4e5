"""The check at the end of each measurement: every event that was answered 202 has its outcome."""

import json
from collections.abc import Iterable

import psycopg

from bench.throughput.load import Answer
from tests.acceptance.stack import Stack

REST_SECONDS = 600


class Ledger:
    """The ids that were promised."""

    def __init__(self) -> None:
        self._ids: list[str] = []

    def add(self, answers: Iterable[Answer]) -> None:
        """Note what was accepted."""
        for one in answers:
            if one.status == 202:
                told = json.loads(one.body)
                self._ids += told["ids"] if "ids" in told else [told["id"]]

    def check(self, stack: Stack, matches: int | None = None) -> str:
        """Wait until nothing waits, then look for each id; ends the run where one is missing."""
        stack.eventually(
            lambda: not stack.sql("SELECT 1 FROM pending_events LIMIT 1"), REST_SECONDS
        )
        pending = "SELECT 1 FROM notifications WHERE status = 'pending' LIMIT 1"
        stack.eventually(lambda: not stack.sql(pending), REST_SECONDS)
        with psycopg.connect(stack.database_url) as connection:
            connection.execute("CREATE TEMP TABLE promised (id uuid PRIMARY KEY)")
            with connection.cursor().copy("COPY promised FROM STDIN") as copy:
                for key in self._ids:
                    copy.write_row((key,))
            lost = _count(connection, "promised LEFT JOIN events e USING (id) WHERE e.id IS NULL")
            failed = _count(connection, "failed_events")
            found = _count(connection, "matches")
        if lost or failed or (matches is not None and found != matches):
            raise SystemExit(f"I1 is broken: {lost} lost, {failed} failed, {found} matches")
        return f"I1: {len(self._ids):,} events accepted, each with its outcome, {found:,} matched"


def _count(connection: "psycopg.Connection[tuple[int]]", rows: str) -> int:
    found = connection.execute(f"SELECT count(*) FROM {rows}".encode()).fetchone()
    return found[0] if found else 0
