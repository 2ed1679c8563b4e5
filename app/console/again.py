"""What a form brought that could not be taken yet: it stays in the browser, on a page that can send it again.

But for secrets, which are in no page: who has typed one does so again.
"""

import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from flask import request
from werkzeug.exceptions import HTTPException

from app.channels import registry
from app.console import door, schema_form
from app.console.schema_form import Input

# Of what is in the form nothing was said: it came too late, too often, or in a bad moment.
PASSING: Final = (401, 403, 429, 503)
# More than a page has; whoever is not signed in could have us write millions.
MOST_FIELDS: Final = 1000
SIGNING_IN: Final = "console.session.create"


@dataclass(frozen=True)
class Unsent:
    """A form: where it goes, and its fields in their order, without the token of a session and what is secret."""

    action: str
    fields: list[tuple[str, str]]
    # The names of what is to be typed again.
    missing: list[str]

    def written(self) -> str:
        """As the sign-in page holds it."""
        return json.dumps([self.action, self.fields, self.missing])

    @property
    def inputs(self) -> list[Input]:
        """What is to be typed again."""
        return [_secrets()[name] for name in self.missing if name in _secrets()]


def under_way() -> Unsent | None:
    """The form that was just sent, if a page of ours sent it and something was filled in."""
    if not door.comes_from_here():
        return None
    try:
        if request.endpoint == SIGNING_IN:
            # One waits behind it.
            return read(request.form.get("unsent", ""))
        filled = door.filled()
    except HTTPException:  # it is too large, or does not arrive
        return None
    told = [each for each in filled if each[0] not in _secrets()]
    missing = [name for name, value in filled if value and name in _secrets()]
    return Unsent(door.here(), told, missing) if 0 < len(filled) <= MOST_FIELDS else None


def read(written: str) -> Unsent | None:
    """What `written` gave; None for anything else."""
    try:
        action, fields, missing = json.loads(written)
        told = [(str(name), str(value)) for name, value in fields]
        names = [str(name) for name in missing]
    except (ValueError, TypeError, RecursionError):
        return None
    if not door.is_here(action) or len(told) + len(names) > MOST_FIELDS:
        return None
    return Unsent(action, told, names)


@cache
def _secrets() -> dict[str, Input]:
    """The inputs for all secrets of channels, by their names."""
    schemas = [registry.get(kind).config_schema for kind in registry.kinds()]
    # Kinds share names, and not what is said of them.
    return {
        one.name: replace(one, required=True, help="")
        for schema in schemas
        for one in schema_form.secrets(schema)
    }
