"""The processes of a local Sentinel, as command lines."""

import json
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from socket import socket

from app.broker import Broker
from app.cli.local.environment import LOOPBACK, Ports
from app.cli.local.home import CHECKOUT, Home
from app.cli.local.listeners import Listeners
from app.cli.local.process import Spec
from app.config import broker

API, EVENTS, NOTIFICATIONS, INBOX = "api", "events", "notifications", "inbox"
BACKTESTS = "backtests"
POSTGRES, REDIS = "postgres", "redis"
FLOWER, EXPORTER, DEMO = "flower", "exporter", "demo"
STOP_ORDER = (
    (DEMO, FLOWER, EXPORTER, API, EVENTS, NOTIFICATIONS, BACKTESTS),
    (INBOX,),
    (REDIS,),
    (POSTGRES,),
)
CORE = (API, EVENTS, NOTIFICATIONS, INBOX)
FLOWER_USER = "sentinel"
EXPORTER_PYTHON = CHECKOUT / ".venv-exporter" / "bin" / "python"
PYTHON = (sys.executable, "-P")
CELERY = (*PYTHON, "-m", "celery", "-A", "wsgi:celery")
NICE = ("nice", "-n", "5")
# Mingling waits a second for answers of other workers, which would tell nothing that Sentinel uses.
WORKER = ("worker", "--without-mingle", "--without-gossip", "--loglevel", "INFO")


class Services:
    """Makes the `Spec` of each process of one home."""

    def __init__(
        self, home: Home, ports: Ports, env: Mapping[str, str], listeners: Listeners
    ) -> None:
        self._home = home
        self._ports = ports
        self._env = env
        self._listeners = listeners
        # Counts the rolling restarts: a new worker needs another name than the old one beside it.
        self.generation = 0

    def named(self, name: str) -> Spec:
        """The core process of that name; `events-2` is one more worker beside `events`."""
        if name == API:
            return self.api()
        if name == INBOX:
            return self.inbox()
        kind = name.partition("-")[0]
        workers = {
            EVENTS: self.events,
            NOTIFICATIONS: self.notifications,
            BACKTESTS: self.backtests,
        }
        return workers[kind](name)

    def api(self) -> Spec:
        """The HTTP API and console."""
        words = ("-m", "gunicorn", "-c", "deploy/gunicorn.conf.py", "wsgi:app")
        return self._listening(API, self._listeners.api, *PYTHON, *words)

    def events(self, name: str) -> Spec:
        """The worker that evaluates events: processes, since rules burn CPU."""
        words = ("-Q", EVENTS, "-n", f"{self.node(name)}@%h", "--pool", "prefork", "-c", "2")
        return self._worker(name, *words)

    def notifications(self, name: str) -> Spec:
        """The worker that delivers: threads, since it waits for receivers."""
        words = ("-Q", NOTIFICATIONS, "-n", f"{self.node(name)}@%h", "--pool", "threads")
        return self._worker(name, *words)

    def backtests(self, name: str) -> Spec:
        """The worker that tries rules on the past: one run at a time, behind whatever else wants the processor."""
        node = f"{self.node(name)}@%h"
        spec = self._worker(name, "-Q", BACKTESTS, "-n", node, "--pool", "threads", "-c", "1")
        return replace(spec, argv=(*NICE, *spec.argv))

    def inbox(self) -> Spec:
        """The receiver that stands in for Slack and keeps what it hears."""
        words = ("--workers", "1", "--worker-class", "gthread", "--threads", "64")
        command = (*PYTHON, "-m", "gunicorn", "--no-control-socket", *words)
        app = "app.inbox.receiver:create_receiver()"
        return self._listening(INBOX, self._listeners.inbox, *command, app)

    def flower(self, port: int, password: str) -> Spec:
        """The view into the workers; `ps` does not show its password."""
        words = (f"--address={LOOPBACK}", f"--port={port}", "--max_tasks=10000")
        env = {**self._env, "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{password}"}
        return replace(self._spec(FLOWER, *CELERY, "flower", *words), env=env, essential=False)

    def exporter(self, port: int) -> Spec:
        """Celery's metrics for Prometheus, from a virtual environment of its own."""
        code = "from src.cli import cli; cli(auto_envvar_prefix='CE')"
        words = ("--host", LOOPBACK, "--port", str(port), "--retry-interval", "5")
        spec = self._spec(EXPORTER, str(EXPORTER_PYTHON), "-P", "-c", code, *words)
        env = {**self._env, **exporter_settings(broker(self._env))}
        env.pop("PYTHONPATH", None)
        return replace(spec, env=env, essential=False)

    def demo(self) -> Spec:
        """Example rules and a stream of example events."""
        env = {**self._env, "SENTINEL_URL": f"http://{self._ports.reachable}:{self._ports.api}"}
        spec = self._spec(DEMO, *PYTHON, "-m", "app.cli.local.feed")
        return replace(spec, env=env, essential=False)

    def node(self, name: str) -> str:
        """What a worker is called before the `@`."""
        return f"{name}.{self.generation}" if self.generation else name

    def _listening(self, name: str, listener: socket, *argv: str) -> Spec:
        number = listener.fileno()
        return replace(self._spec(name, *argv, "--bind", f"fd://{number}"), keep_open=(number,))

    def _worker(self, name: str, *words: str) -> Spec:
        # Killed with its parent, a worker loses nothing: that is what the sweep is for.
        return replace(self._spec(name, *CELERY, *WORKER, *words), orphan=signal.SIGKILL)

    def _spec(self, name: str, *argv: str) -> Spec:
        return Spec(name=name, argv=argv, log=self._home.logs / f"{name}.log", env=self._env)


def broker_url(env: Mapping[str, str]) -> str:
    """The broker as kombu spells it."""
    return broker(env).url


def exporter_settings(where: Broker) -> dict[str, str]:
    """The exporter's environment, which `ps` does not show."""
    options = ["global_keyprefix=sentinel:"]
    if where.master:
        login = json.dumps(where.sentinel_login, separators=(",", ":"))
        options += [f"master_name={where.master}", f"sentinel_kwargs={login}"]
    return {"CE_BROKER_URL": where.url, "CE_BROKER_TRANSPORT_OPTION": " ".join(options)}
