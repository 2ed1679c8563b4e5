"""What a row of the language's table of memory needs to be tried in real time: its own rule, events and receiver."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.acceptance.receiver import Heard
from tests.acceptance.stack import Stack


class Row:
    """One rule, whose events are of a type of its own, and what becomes of them."""

    def __init__(self, stack: Stack, name: str) -> None:
        self.stack = stack
        self.name = name
        self.began = datetime.now(UTC)
        self.rules: dict[str, str] = {}
        self.expected = 0
        config = {"url": f"{stack.receiver.url}/{name}"}
        made = stack.post("/channels", {"name": name, "kind": "webhook", "config": config})
        assert made.status_code == 201, made.text

    def rule(self, dsl: str, name: str = "") -> None:
        """Make a rule; `TYPE` is the row's type, and `NOTIFY` its target, which hears of ends too."""
        notify = f'then notify("webhook:{self.name}", resolved: true)'
        text = dsl.replace("TYPE", f'type == "{self.name}"').replace("NOTIFY", notify)
        made = self.stack.post("/rules", {"name": name or self.name, "dsl": text})
        assert made.status_code == 201, made.text
        self.rules[name or self.name] = made.json()["id"]

    def post(self, ago: float | None = None, **body: Any) -> str:
        """Send an event, of some seconds before the row began where it says so."""
        happened = {} if ago is None else {"time": self._before(ago)}
        event = {"type": self.name} | happened | body
        made = self.stack.post("/events", event)
        assert made.status_code == 202, made.text
        return str(made.json()["id"])

    def send(self, ago: float | None = None, **body: Any) -> str:
        """Send an event, and wait until it was evaluated, so that the next one comes after it."""
        event_id = self.post(ago, **body)
        self.wait(lambda: self.stack.get(f"/events/{event_id}").json()["state"] == "evaluated")
        return event_id

    def wait(self, check: Callable[[], Any], seconds: float = 30) -> Any:
        """The first true value."""
        return self.stack.eventually(check, seconds)

    def heard(self) -> list[Heard]:
        """What its receiver heard."""
        return [one for one in list(self.stack.receiver.heard) if one.path == f"/{self.name}"]

    def told(self, count: int, seconds: float = 30) -> list[dict[str, Any]]:
        """The messages, once there are so many; no more may have come."""
        self.wait(lambda: len(self.heard()) >= count, seconds)
        self.expected = count
        bodies = [one.json for one in self.heard()]
        assert len(bodies) == count, bodies
        return bodies

    def decisions(self, event_id: str) -> list[dict[str, Any]]:
        """What its rule made of an event, and of times that were about it."""
        trace = self.stack.get(f"/events/{event_id}/trace").json()
        return [one for one in trace["decisions"] if one["rule"] == self.name]

    def explained(self, event_id: str) -> str:
        """All that the explanation of an event says of why its rule was true of it, or not."""
        [made] = [one for one in self.decisions(event_id) if one["kind"] == "event"]
        return str(made["explanation"])

    def alerts(self) -> list[tuple[str, str, int]]:
        """Its alerts: key, state and count."""
        found = self.stack.get("/alerts", params={"rule": self.rules[self.name]}).json()["data"]
        return sorted((one["key"], one["state"], one["count"]) for one in found)

    def held(self) -> list[tuple[str, str]]:
        """What notified nobody, and why, oldest first."""
        mine = self.rules[self.name]
        found = self.stack.get("/suppressions", params={"limit": 100}).json()["data"]
        return [(one["kind"], one["reason"]) for one in reversed(found) if one["rule_id"] == mine]

    def _before(self, seconds: float) -> str:
        return (self.began - timedelta(seconds=seconds)).isoformat()
