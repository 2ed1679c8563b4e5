"""What a form brought that could not be taken yet: it stays in the browser, on a page that can send it again."""

import json
from dataclasses import dataclass
from typing import Final

from flask import g, request

from app.console import door

# Of what is in the form nothing was said: it came too late, too often, or in a bad moment.
PASSING: Final = (401, 403, 429, 503)


@dataclass(frozen=True)
class Unsent:
    """A form: where it goes, and its fields in their order, without the token of a session."""

    action: str
    fields: list[tuple[str, str]]

    def written(self) -> str:
        """As the sign-in page holds it."""
        return json.dumps([self.action, self.fields])


def under_way() -> Unsent | None:
    """The form that was just sent, if a page of ours sent it and something was filled in."""
    if request.endpoint in door.OPEN or not g.get("ours"):
        return None
    filled = door.filled()
    return Unsent(door.here(), filled) if filled else None


def read(written: str) -> Unsent | None:
    """What `written` gave; None for anything else."""
    try:
        action, fields = json.loads(written)
        filled = [(str(name), str(value)) for name, value in fields]
    except (ValueError, TypeError, RecursionError):
        return None
    return Unsent(action, filled) if door.is_here(action) else None
