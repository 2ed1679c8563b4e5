"""Commits of accepted events: requests that come in together share a transaction.

A commit costs the same for one row and for twenty. Whoever comes while another commits sleeps, with everybody else
who came; the first of them is woken to commit for all, and wakes the others when it has. At rest nobody waits, and no
thread is added.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, cast

from flask import current_app
from sqlalchemy import Connection

from app.extensions import db
from app.ids import text_of
from app.pool import be_patient_for_others, has_word
from app.runtime import now
from app.services import ingest
from app.services.ingest import Arrival, Checked
from tasks.publisher import wake_events
from tasks.together import Together
from tasks.wiring import publish

MOST_TOGETHER: Final = 500
PATIENCE: Final = 2.0
# Seconds for which a connection is taken to be alive without asking.
FRESH: Final = 1.0


class GroupCommit:
    """One process's requests that wait for a commit, and the connection that it is made on."""

    def __init__(self) -> None:
        self._together = Together(self._store, most=MOST_TOGETHER, patience=PATIENCE)
        self._connection: Connection | None = None
        self._used_at = 0.0

    def accept(self, event: Checked) -> Arrival:
        """Store an event and hand it to the publisher; returns after the commit, or raises what kept it from it."""
        return self._together(event)

    def close(self) -> None:
        """Let the connection go: a pool that is disposed of does not close what is in use."""
        self._hang_up()

    def _store(self, events: Sequence[Checked]) -> list[Arrival]:
        be_patient_for_others()
        try:
            connection, moment = self._connected(), now()
            arrivals = [one.arrive(moment, place) for place, one in enumerate(events, start=1)]
            ingest.store(connection, arrivals, source="http")
        except Exception:  # whatever it was, nobody knows what the connection is in the midst of
            self._hang_up()
            raise
        self._used_at = time.monotonic()
        publish([wake_events([text_of(one.id) for one in arrivals])])
        return arrivals

    def _connected(self) -> Connection:
        """A connection that stays with this process: taking one from the pool costs as much as the statement."""
        if self._connection and (self._is_stale() or has_word(self._connection)):
            self._hang_up()
        if self._connection is None:
            autocommit = db.engine.execution_options(isolation_level="AUTOCOMMIT")
            self._connection = autocommit.connect()
        return self._connection

    def _is_stale(self) -> bool:
        return time.monotonic() - self._used_at > FRESH

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # One that cannot even be given back is gone, and the next is another.
            with suppress(Exception):
                connection.close()


def group() -> GroupCommit:
    """The one of the current application."""
    known = current_app.extensions
    if "group_commit" not in known:
        # Of two that are made at once, one stays.
        known.setdefault("group_commit", GroupCommit())
    return cast(GroupCommit, known["group_commit"])
