"""The form of a rule: what stands in it, what that is to the services, and what is wrong at which field."""

from dataclasses import dataclass
from typing import Any, Final

from flask import request

from app.models.rules import Mode, RuleVersion
from app.schemas.rules import RuleIn
from app.services import rules
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
class RuleForm:
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


def typed() -> RuleForm:
    """What was sent; line breaks as the language counts them."""
    given = {name: request.form.get(name, "") for name in RuleForm.__dataclass_fields__}
    return RuleForm(**{name: text.replace("\r\n", "\n") for name, text in given.items()})


def written(version: RuleVersion) -> RuleForm:
    """The form that would save this version."""
    return RuleForm(
        name=version.name,
        dsl=version.dsl,
        description=version.description,
        tags=", ".join(version.tags),
        mode=version.mode,
        noise_budget="" if version.noise_budget is None else str(version.noise_budget),
        tests=version.tests,
        etag=rules.etag(version),
    )


def draft(form: RuleForm) -> Draft:
    """A draft by the API's own schema; raises `ValidationError`."""
    body: dict[str, Any] = RuleIn().load(form.body)
    return Draft(**(body | {"tags": tuple(body["tags"]), "mode": Mode(body["mode"])}))
