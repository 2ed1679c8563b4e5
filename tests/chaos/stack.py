"""A Sentinel behind edges, with two workers of each kind, whose processes are started again when they die."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import redis

from app.cli.local.process import Spec
from app.cli.local.redis import SOCKET
from tests.acceptance.receiver import Answer
from tests.acceptance.stack import Stack
from tests.chaos.proxy import Edges
from tests.chaos.receiver import ReceiverProcess

API, WORKERS = "api", ("events", "events-2", "notifications", "notifications-2")
SERVERS = ("postgres", "redis")
API_POSTGRES, API_REDIS = "API→PostgreSQL", "API→Redis"
WORKER_POSTGRES, WORKER_REDIS = "worker→PostgreSQL", "worker→Redis"
RECEIVER = "worker→receiver"
EDGES = (API_POSTGRES, API_REDIS, WORKER_POSTGRES, WORKER_REDIS, RECEIVER)
# What the migrations fill, what is emptied with its parent, and what processes say of themselves.
KEPT = ("alembic_version", "ruleset", "events_default", "workers")
# Each of 36 threads may have two answers that are not written down yet.
CONCURRENCY = 72
ATTEMPTS = 8
RETRY = {
    "SENTINEL_RETRY_BASE": "0.2",
    "SENTINEL_RETRY_FACTOR": "2",
    "SENTINEL_RETRY_MAX": "3",
    "SENTINEL_RETRY_ATTEMPTS": str(ATTEMPTS),
    # A receiver that was cut off is tried again as soon as its notifications are.
    # The one receiver stands for many, and hangs now and then.
    "SENTINEL_RECEIVER_CONCURRENCY": "36",
    "SENTINEL_CIRCUIT_PAUSE": "0.5",
    "SENTINEL_CIRCUIT_PAUSE_MAX": "2",
}


class ChangedStack(Stack):
    """A Sentinel that runs with `changes` (see `tests.chaos.changes`): without a guard, or with shorter waits."""

    changes: Sequence[str] = ()
    # A change for those processes alone.
    missing: str = ""
    missing_in: Sequence[str] = ()
    # The type of the events that the present scenario posts.
    type: str = "guard"

    def spec(self, name: str) -> Spec:
        """The process, loading the changed application where there are changes."""
        spec = super().spec(name)
        is_missing = name.partition("-")[0] in self.missing_in
        changes = (*self.changes, self.missing) if is_missing else self.changes
        if not changes:
            return spec
        argv = tuple(word.replace("wsgi:", "tests.chaos.changed:") for word in spec.argv)
        return replace(spec, argv=argv, env={**spec.env, "CHAOS_CHANGES": ",".join(changes)})

    def launch(self, *names: str) -> None:
        """Start processes that do not run yet, and wait until each has said that it is there."""
        new = [name for name in names if not self._runs(name)]
        self.sql("DELETE FROM workers WHERE split_part(name, '@', 1) = ANY(%s)", new)
        for name in new:
            self.start(name)
        if API in names:
            self.wait_alive()
        workers = {name for name in new if name != API}
        beats = "SELECT split_part(name, '@', 1) FROM workers"
        self.eventually(lambda: workers <= {name for (name,) in self.sql(beats)}, 60)

    def kill_others(self, names: Sequence[str]) -> None:
        """End every process but the servers, and but those of `names` that are as they should be."""
        for name, handle in self.processes.items():
            if name not in SERVERS and handle.alive and not (name in names and self._runs(name)):
                handle.kill()

    def _runs(self, name: str) -> bool:
        """Whether that process is alive, in the environment that it would be given now."""
        handle = self.processes.get(name)
        return handle is not None and handle.alive and handle.child.spec == self.spec(name)

    def forget_all(self) -> None:
        """Nothing stored, queued or heard."""
        kept = (
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL(%s)"
        )
        tables = [table for (table,) in self.sql(kept, list(KEPT))]
        # A process that still writes may hold what this waits for; PostgreSQL then ends one of the two.
        truncate = f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE"
        self.eventually(lambda: (self.sql(truncate),))
        self.redis.flushall()
        self.receiver.heard.clear()
        self.receiver.answer = lambda _heard: Answer()


class ChaosStack(ChangedStack):
    """All edges, a receiver that keeps its own log, and an eye on processes that end."""

    def __init__(self, seed: int, changes: Sequence[str] = ()) -> None:
        self.edges = Edges(EDGES)
        allowed = f"127.0.0.1:{self.edges.ports[RECEIVER]}"
        env = {**RETRY, "SENTINEL_EGRESS_ALLOW": allowed}
        super().__init__(env=env, start=(API, *WORKERS))
        self.changes = changes
        self._seed = seed

    def __enter__(self) -> Self:
        self.hears = ReceiverProcess(Path(self.home.path) / "posts.jsonl", self._seed)
        sockets = self.home.sockets
        for edge in (API_POSTGRES, WORKER_POSTGRES):
            self.edges.lead(edge, str(sockets / ".s.PGSQL.5432"))
        for edge in (API_REDIS, WORKER_REDIS):
            self.edges.lead(edge, str(sockets / SOCKET))
        self.edges.lead(RECEIVER, self.hears.port)
        super().__enter__()
        self.eventually(lambda: self._workers() == {"events": 2, "notifications": 2}, 60)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill_others(())
        super().__exit__(kind, error, traceback)
        self.hears.close()
        self.edges.close()

    def spec(self, name: str) -> Spec:
        """The process, with its servers behind edges."""
        spec = super().spec(name)
        return replace(spec, env={**spec.env, **self._behind_edges(name)})

    def _behind_edges(self, name: str) -> Mapping[str, str]:
        ports = self.edges.ports
        postgres, redis = (
            (API_POSTGRES, API_REDIS) if name == API else (WORKER_POSTGRES, WORKER_REDIS)
        )
        return {
            "DATABASE_URL": f"postgresql://sentinel@127.0.0.1:{ports[postgres]}/sentinel"
            "?sslmode=disable&gssencmode=disable",
            "REDIS_URL": f"redis://127.0.0.1:{ports[redis]}/0",
        }

    @property
    def redis(self) -> "redis.Redis":
        """A new client, which does not wait for a Redis that is stopped: who would wake it?"""
        return redis.Redis.from_url(self.env["REDIS_URL"], socket_timeout=1)

    @property
    def target(self) -> str:
        """The receiver's address, as rules name it."""
        return f"webhook:http://127.0.0.1:{self.edges.ports[RECEIVER]}"

    def keep_alive(self) -> list[str]:
        """Start again what has ended, as `up` does; the names."""
        ended = [name for name, handle in self.processes.items() if not handle.alive]
        # The servers first: the others cannot do without.
        for name in sorted(ended, key=lambda name: name not in SERVERS):
            self.processes[name].child.sweep()
            self.start(name)
        return ended

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query gives, once the database answers."""
        return list(self.eventually(lambda: (self.sql(query, *values),))[0])

    def waits(self) -> tuple[int, int]:
        """How many events and notifications wait."""
        [row] = self.sql(
            "SELECT (SELECT count(*) FROM pending_events),"
            " (SELECT count(*) FROM notifications WHERE status = 'pending')"
        )
        return int(row[0]), int(row[1])

    def is_settled(self) -> bool:
        """Whether nothing waits; not while the database is away."""
        try:
            return self.waits() == (0, 0)
        except psycopg.Error:
            return False

    def _workers(self) -> dict[str, int]:
        components = self.get("/readyz").json()["components"]
        return dict(components["workers"])

    def backends(self) -> list[int]:
        """The pids of PostgreSQL's processes that serve Sentinel."""
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'sentinel'"
        return [int(pid) for (pid,) in self.sql(query)]
