"""The pictures of the documentation: `python -m tests.acceptance.screenshots` photographs the console.

In a week of made-up work some things went wrong; then a few more do, through real workers and a real receiver.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, Page

from app.cli.local.services import BACKTESTS, CORE
from bench.past import fill
from tests.acceptance.chromium import WIDE, Watch, started
from tests.acceptance.markup import done, settled
from tests.acceptance.receiver import Answer, Heard
from tests.acceptance.stack import Stack

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
EVENTS: Final = 200_000
HEIGHT: Final = 800
LARGEST: Final = 150_000
ENV: Final = {"SENTINEL_RETRY_BASE": "0.2", "SENTINEL_RETRY_ATTEMPTS": "3"}
# Places by the address where they begin, and what is clicked there; `a.main` is the first of a list.
PLACES: Final[dict[str, tuple[str, ...]]] = {
    "overview": ("/",),
    "events": ("/console/events?live=1",),
    "event": ("/console/events?type=order&matched=yes", "a.main"),
    "rules": ("/console/rules",),
    "rule": ("/console/rules", "a.main:has-text('Payment declined')"),
    "editor": ("/console/rules", "a.main:has-text('High value orders')", "text=Edit"),
    "alerts": ("/console/alerts",),
    "alert": ("/console/alerts?view=acknowledged", "a.main"),
    "notifications": ("/console/notifications",),
    "notification": ("/console/notifications?view=dead", "a.main"),
    "channels": ("/console/channels",),
    "backtest": ("/console/backtests", "a.main"),
    "silences": ("/console/silences",),
    "audit": ("/console/audit",),
}
LIVE: Final = {
    "Password guessing": 'when type == "login" and ok == false and count() over 5m by user >= 5\n'
    'then notify("webhook:oncall")\nseverity high\nthrottle 1 per 1h by user',
    "Orders to the warehouse": 'when type == "order" and amount > 990 then notify("webhook:warehouse")',
    "No heartbeat": 'when absent(type == "heartbeat") for 5m by host\nthen notify("webhook:oncall", resolved: true)\n'
    "severity critical",
}


def main(names: list[str]) -> None:
    """All pictures, or those of some names."""
    with Stack(env=ENV, start=(*CORE, BACKTESTS)) as stack, started() as browser:
        furnish(stack)
        made = [
            photograph(stack, browser, name, scheme)
            for name in names or PLACES
            for scheme in ("light", "dark")
        ]
    if large := [file.name for file in made if file.stat().st_size > LARGEST]:
        sys.exit(f"larger than {LARGEST / 1000:.0f} kB: {', '.join(large)}")


def photograph(stack: Stack, browser: Browser, name: str, scheme: str) -> Path:
    """Go to a page, and keep what the window shows."""
    watch = Watch(stack.api_url)
    context = watch.context(browser, WIDE, scheme=scheme)
    page = context.new_page()
    page.set_viewport_size({"width": WIDE, "height": HEIGHT})
    address, *clicks = PLACES[name]
    page.goto(address)
    for click in clicks:
        page.locator(click).first.click()
    _at_rest(page)
    file = FOLDER / f"console-{name}-{scheme}.png"
    page.screenshot(path=file)
    context.close()
    print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB", flush=True)
    if watch.problems:
        sys.exit(f"{address}: {watch.problems}")
    return file


def furnish(stack: Stack) -> None:
    """A week of the past, then a guessed password, an unwell receiver, a silence, and people who look after it."""
    fill(stack, EVENTS, datetime.now(UTC))
    stack.receiver.answer = _answer
    for name in ("oncall", "warehouse"):
        config = {"url": f"{stack.receiver.url}/{name}"}
        done(stack.post("/channels", {"name": name, "kind": "webhook", "config": config}))
        stack.post(f"/channels/{name}/test")
    for name, dsl in LIVE.items():
        done(stack.post("/rules", {"name": name, "dsl": dsl, "tags": ["security"]}))
    draft = 'when type == "order" and amount > 250 then notify("slack:#orders")'
    done(stack.post("/rules", {"name": "Orders of some value", "dsl": draft, "mode": "shadow"}))
    for number, body in enumerate(_today()):
        done(stack.post("/events", body | {"number": number}))
    silence = {"condition": 'host startswith "db-"', "for": "2h", "comment": "The database moves"}
    done(stack.post("/silences", silence))
    for name, scope in (("checkout service", "ingest"), ("grafana", "read")):
        done(stack.post("/keys", {"name": name, "scopes": [scope]}))
    stack.eventually(lambda: settled(stack))
    alerts = stack.get("/alerts?state=open").json()["data"]
    done(stack.post(f"/alerts/{alerts[0]['id']}/ack", {"comment": "I call them"}))
    done(stack.post(f"/alerts/{alerts[-1]['id']}/snooze", {"for": "4h"}))
    since = (datetime.now(UTC) - timedelta(days=6)).isoformat()
    told = done(stack.post("/rules/backtest", {"dsl": draft, "since": since}))
    stack.eventually(lambda: stack.get(f"/backtests/{told['id']}").json()["state"] == "done", 120)


def _today() -> list[dict[str, Any]]:
    """What happens while the pictures are taken."""
    order = {"type": "order", "amount": 1250.0, "country": "DE", "customer": {"name": "ada"}}
    login = {"type": "login", "user": "grace", "ok": False, "ip": "192.0.2.77", "country": "FR"}
    hosts = [{"type": "heartbeat", "host": f"web-{n}", "cpu": 0.2 + n / 10} for n in range(1, 4)]
    return [order, *hosts, *[login] * 6, {**order, "amount": 420.0}]


def _answer(heard: Heard) -> Answer:
    if heard.path == "/warehouse":
        return Answer(503, body=b'{"error": "the warehouse counts its stock until 14:00"}')
    return Answer(body=b'{"ok": true}')


def _at_rest(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    page.evaluate("document.activeElement?.blur()")


if __name__ == "__main__":
    main(sys.argv[1:])
