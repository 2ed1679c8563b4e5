"""Many tallies as one: what became of many rules together, and of each in short."""

from collections.abc import Sequence
from typing import Any

from app.services.backtesting.tally import Room, Tally


def together(names: Sequence[str], tallies: Sequence[Tally]) -> dict[str, Any]:
    """All of them, as JSON; what is listed says of which rule it is."""
    both = list(zip(names, tallies, strict=True))
    listed = {
        "matches": [_of(name, one) for name, each in both for one in each.listed_matches],
        "notifications": [
            _of(name, one) for name, each in both for one in each.listed_notifications
        ],
        "alerts": [_of(name, one.shown()) for name, each in both for one in each.listed_alerts],
    }
    for entries, at in zip(listed.values(), ("at", "at", "opened_at"), strict=True):
        entries.sort(key=lambda entry: str(entry[at]))
    return {
        **_sum(tallies).shown(),
        "listed": listed,
        "rules": [{"name": name, **_short(each)} for name, each in both],
    }


def _of(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    return {"rule": name, **entry}


def _short(tally: Tally) -> dict[str, Any]:
    return {
        "matches": tally.matches,
        "alerts": {"opened": tally.opened, "resolved": tally.resolved},
        "notifications": tally.notifications,
        "held": dict(tally.held),
        "late": tally.late,
        "errors": dict(tally.errors),
    }


def _sum(tallies: Sequence[Tally]) -> Tally:
    """One that has counted what they have, and lists nothing."""
    total = Tally(max(each.width for each in tallies), Room(0))
    for each in tallies:
        total.matches += each.matches
        total.opened += each.opened
        total.resolved += each.resolved
        total.notifications += each.notifications
        total.late += each.late
        total.targets.update(each.targets)
        total.held.update(each.held)
        total.errors.update(each.errors)
        total.add_chart(each)
    return total
