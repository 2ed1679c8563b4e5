"""The demo's rules, and its stream of events, both sent as any program would send them."""

import os
import random
import time
from collections.abc import Callable
from typing import Any

import requests

Event = dict[str, Any]
SECONDS = 10
PAUSE = 1.0
RULES = {
    "High value orders": """\
when event.type == "order" and amount > 500
then notify("slack:#big-orders")
message "{{ customer }} ordered for {{ amount }}"
""",
    "Failed payments": """\
when event.type == "payment" and status == "failed" and attempts >= 3
then notify("slack:#payments")
severity high
message "Payment of {{ customer }} failed {{ attempts }} times"
""",
    "Disk nearly full": """\
when event.type == "disk" and used > 90%
then notify("slack:#operations")
severity critical
message "{{ host }}: the disk is nearly full"
""",
}


def main() -> None:
    """Make the rules, then send events until stopped."""
    url = os.environ["SENTINEL_URL"]
    session = requests.Session()
    session.trust_env = False
    if key := os.environ.get("SENTINEL_API_KEY"):
        session.headers["Authorization"] = f"Bearer {key}"
    make_rules(session, url)
    chance = random.Random()  # noqa: S311 - example data
    while True:
        event = chance.choice(KINDS)(chance)
        session.post(f"{url}/events", json=event, timeout=SECONDS).raise_for_status()
        time.sleep(PAUSE)


def make_rules(session: requests.Session, url: str) -> None:
    """Each rule once, however often the demo is started."""
    answer = session.get(f"{url}/rules", timeout=SECONDS)
    answer.raise_for_status()
    known = {rule["name"] for rule in answer.json()["data"]}
    for name in RULES.keys() - known:
        body = {"name": name, "dsl": RULES[name].strip(), "tags": ["demo"]}
        session.post(f"{url}/rules", json=body, timeout=SECONDS).raise_for_status()


def order(chance: random.Random) -> Event:
    """Some are dear."""
    return {
        "type": "order",
        "amount": round(chance.lognormvariate(5, 1), 2),
        "customer": _customer(chance),
    }


def payment(chance: random.Random) -> Event:
    """Few fail often."""
    status = chance.choice(("paid", "paid", "failed"))
    return {
        "type": "payment",
        "status": status,
        "attempts": chance.randint(1, 4),
        "customer": _customer(chance),
    }


def disk(chance: random.Random) -> Event:
    """Most have room."""
    return {
        "type": "disk",
        "host": f"db-{chance.randint(1, 5)}",
        "used": round(chance.betavariate(4, 2), 2),
    }


def _customer(chance: random.Random) -> str:
    return chance.choice(("Ada", "Grace", "Edsger", "Barbara", "Tony"))


KINDS: tuple[Callable[[random.Random], Event], ...] = (order, payment, disk)

if __name__ == "__main__":
    main()
