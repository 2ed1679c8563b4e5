"""The form of a rule: what stands in it, what that is to the services, and what is wrong at which field."""

from dataclasses import dataclass
from typing import Any, Final

from flask import request
from marshmallow import ValidationError

from app.models.rules import Mode, RuleVersion
from app.schemas.rules import RuleIn
from app.services import rules
from app.services.errors import Refusal
from app.services.rules import Draft

FIELDS: Final = {
    "name": "Name",
    "dsl": "Sentence",
    "description": "Description",
    "tags": "Tags",
    "mode": "Mode",
    "noise_budget": "Noise budget",
    "tests": "Tests",
}


@dataclass(frozen=True)
class Form:
    """What stands in the form, as it was typed."""

    name: str = ""
    dsl: str = ""
    description: str = ""
    tags: str = ""
    mode: str = Mode.LIVE
    noise_budget: str = ""
    tests: str = ""
    etag: str = ""

    @property
    def body(self) -> dict[str, Any]:
        """The same as the API would get it."""
        budget = self.noise_budget.strip()
        return {
            "name": self.name.strip(),
            "dsl": self.dsl,
            "description": self.description.strip(),
            "tags": [tag for each in self.tags.split(",") if (tag := each.strip())],
            "mode": self.mode,
            "noise_budget": int(budget)
            if budget.isdecimal() and len(budget) < 10
            else budget or None,
            "tests": self.tests,
        }


def typed() -> Form:
    """What was sent; line breaks as the language counts them."""
    given = {name: request.form.get(name, "") for name in Form.__dataclass_fields__}
    return Form(**{name: text.replace("\r\n", "\n") for name, text in given.items()})


def written(version: RuleVersion) -> Form:
    """The form that would save this version."""
    return Form(
        name=version.name,
        dsl=version.dsl,
        description=version.description,
        tags=", ".join(version.tags),
        mode=version.mode,
        noise_budget="" if version.noise_budget is None else str(version.noise_budget),
        tests=version.tests,
        etag=rules.etag(version),
    )


def draft(form: Form) -> Draft:
    """A draft by the API's own schema; raises `ValidationError`."""
    body: dict[str, Any] = RuleIn().load(form.body)
    return Draft(**(body | {"tags": tuple(body["tags"]), "mode": Mode(body["mode"])}))


def complaints(error: Refusal | ValidationError) -> dict[str, list[str]]:
    """What is wrong, by the field's name; under no name what is about none of them."""
    found: dict[str, list[str]] = {}
    if isinstance(error, ValidationError):
        messages: dict[str, Any] = error.messages_dict
        return {name: _flat(each) for name, each in messages.items()}
    for entry in error.entries:
        name = str(entry["pointer"]).strip("/").partition("/")[0]
        found.setdefault(name if name in FIELDS else "", []).append(str(entry["detail"]))
    return found


def _flat(messages: Any) -> list[str]:
    """The messages of a field, and of the elements of a list."""
    if isinstance(messages, dict):
        return [text for each in messages.values() for text in _flat(each)]
    return [str(text) for text in messages]
