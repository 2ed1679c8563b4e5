"""`up` from the lock on its home to the last process that it stops."""

import os
import signal
import sys
import time

from app.cli.local import renewal
from app.cli.local.environment import LOOPBACK, Ports
from app.cli.local.errors import LocalError, Stopped
from app.cli.local.extras import Extras
from app.cli.local.home import Home
from app.cli.local.listeners import listen_from
from app.cli.local.screen import Screen
from app.cli.local.services import Services
from app.cli.local.stack import LocalStack
from app.cli.local.supervisor import Supervisor

API_PORT = 8000
INBOX_PORT = 8025
FIRST_COMMANDS = (
    "Try it:",
    "",
    '  curl -X POST {url}/rules -H "Content-Type: application/json" -d \''
    '{{"name": "High value orders", "dsl": "when event.type == \'\\\'\'order\'\\\'\' and '
    "amount > 500 then notify('\\''slack:#big-orders'\\'')\"}}'",
    "",
    '  curl -X POST {url}/events -H "Content-Type: application/json" -d '
    '\'{{"type": "order", "amount": 750}}\'',
    "",
    "Ctrl-C stops everything.",
)


def run(port: int | None, demo: bool) -> None:
    """Start all, keep it running until asked to stop, stop all."""
    screen = Screen()
    supervisor = Supervisor(screen.note)
    supervisor.listen()
    # Before the lock, which tells others whom to ask.
    asked = Asked()
    home = Home.from_env()
    home.lock()
    stack = None
    try:
        api = port or _number("SENTINEL_PORT", API_PORT)
        inbox = listen_from(INBOX_PORT, taken=api)
        ports = Ports(api, inbox.getsockname()[1], os.environ.get("SENTINEL_HOST") or LOOPBACK)
        stack = LocalStack(home, ports, supervisor, screen.step, inbox=inbox)
        _keep(stack, screen, asked, demo)
    except Stopped:
        screen.note("Stopping")
    finally:
        if stack:
            stack.stop()
        home.unlock()


def _keep(stack: LocalStack, screen: Screen, asked: "Asked", demo: bool) -> None:
    stack.check()
    stack.start_servers()
    stack.migrate()
    stack.home.tell(stack.ports.url)
    services = stack.start_services()
    screen.heading(f"Sentinel is ready, {screen.since_start():.1f} s")
    extras = Extras(stack, services, screen.note)
    extras.start(demo)
    _show(stack, extras, screen)
    while True:
        stack.supervisor.tick()
        extras.tick()
        if asked.to_renew():
            _renew(stack, services, screen)


class Asked:
    """Whether somebody has asked for a rolling restart since the last time."""

    def __init__(self) -> None:
        self._asked = False
        signal.signal(renewal.SIGNAL, self._on_signal)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._asked = True

    def to_renew(self) -> bool:
        if not self._asked:
            return False
        self._asked = False
        return True


def _renew(stack: LocalStack, services: Services, screen: Screen) -> None:
    # By the clock that all processes of a machine share; after the wish was taken, so that a later one has its own.
    began, problem = time.monotonic(), ""
    try:
        renewal.renew(stack, services)
        screen.note("API, workers and inbox run anew")
    except LocalError as error:
        problem = error.message
        screen.note(f"Not all was restarted: {problem}")
    renewal.answer(stack.home, began, problem)


def _show(stack: LocalStack, extras: Extras, screen: Screen) -> None:
    url = stack.ports.url
    inbox = [("Inbox", f"{url}/inbox")] if stack.env["SENTINEL_INBOX"] == "on" else []
    rows = [
        ("Console", f"{url}/"),
        ("API", url),
        ("API reference", f"{url}/docs"),
        *inbox,
        ("Metrics", f"{url}/metrics"),
        *extras.rows(),
        ("Logs", str(stack.home.logs)),
    ]
    screen.table(rows)
    if stack.env["SENTINEL_AUTH"] == "off":
        screen.note("No keys are asked for (SENTINEL_AUTH=off): only this machine can connect.")
    else:
        screen.note("Calls need a key: ./sentinel key create operator --scope admin")
    screen.block(line.format(url=url) for line in FIRST_COMMANDS)
    sys.stdout.flush()


def _number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdigit() or not 0 < int(text) < 65_536:
        raise LocalError(f"{name}: is {text!r}; it must be a port")
    return int(text)
