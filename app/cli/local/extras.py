"""What is started once Sentinel is ready: the worker of backtests, Flower, the Celery exporter and the demo.

None of it is needed for an alert, so none of it can hold one up or bring Sentinel down.
"""

import sys
from collections.abc import Callable

from app.cli.local.home import CHECKOUT
from app.cli.local.ports import next_free
from app.cli.local.process import Spec
from app.cli.local.services import BACKTESTS, FLOWER_USER, Services
from app.cli.local.stack import LocalStack
from app.environment import Environment

EXPORTER_TOO_NEW = (3, 13)
PREPARING = "exporter-install"


class Extras:
    """The programs beside Sentinel."""

    def __init__(self, stack: LocalStack, services: Services, say: Callable[[str], None]) -> None:
        self._stack = stack
        self._services = services
        self._say = say
        self._password = stack.home.secret("flower_password", 15)
        taken = frozenset({stack.ports.api, stack.ports.inbox})
        wanted = Environment(stack.env)
        self._flower = next_free(wanted.count("SENTINEL_FLOWER_PORT"), taken)
        self._exporter = next_free(wanted.count("SENTINEL_EXPORTER_PORT"), taken | {self._flower})
        self._preparing = False

    def start(self, demo: bool) -> None:
        """The worker of backtests and Flower at once; the exporter when its virtual environment is there."""
        supervisor = self._stack.supervisor
        supervisor.start(self._services.named(BACKTESTS))
        supervisor.start(self._services.flower(self._flower, self._password))
        if demo:
            supervisor.start(self._services.demo())
        if sys.version_info < EXPORTER_TOO_NEW:
            supervisor.start(self._preparation())
            self._preparing = True
        else:
            self._say("The Celery exporter is left out: it needs Python older than 3.13.")

    def tick(self) -> None:
        """The exporter, once its installation has ended well."""
        if not self._preparing or self._stack.supervisor.is_running(PREPARING):
            return
        self._preparing = False
        child = self._stack.supervisor.child(PREPARING)
        if child.exit_code:
            self._say(
                f"The Celery exporter is left out: it could not be installed, see {child.spec.log}"
            )
        else:
            self._stack.supervisor.start(self._services.exporter(self._exporter))

    def rows(self) -> list[tuple[str, str]]:
        """Where they are, for the table."""
        rows = [
            ("Flower", f"http://localhost:{self._flower}"),
            ("Flower's login", f"{FLOWER_USER} / {self._password}"),
        ]
        if self._preparing:
            rows.append(("Celery exporter", f"http://localhost:{self._exporter}/metrics"))
        return rows

    def _preparation(self) -> Spec:
        """The launcher, installing; at every start, since the lock may have changed."""
        return Spec(
            name=PREPARING,
            argv=(sys.executable, str(CHECKOUT / "sentinel"), "prepare-exporter"),
            log=self._stack.home.logs / f"{PREPARING}.log",
            env=self._stack.env,
            once=True,
        )
