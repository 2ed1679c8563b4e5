"""Forms that people fill in: what was typed, and what is wrong with it, at the field where it is."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from flask import request
from marshmallow import ValidationError

from app.extensions import session
from app.services.errors import Refusal

WHOLE: Final = ""


@dataclass
class Form:
    """The texts of a form's fields by name, and its errors by the same; those of no field are under `WHOLE`.

    `with form:` catches what a schema or a service refuses.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @classmethod
    def sent(cls) -> "Form":
        """What the current request brings."""
        return cls({name: value.strip() for name, value in request.form.items()})

    def text(self, name: str) -> str:
        """What a field holds."""
        return self.values.get(name, "")

    def lines(self, name: str) -> list[str]:
        """What a field holds, a thing on each line."""
        return [line.strip() for line in self.text(name).splitlines() if line.strip()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Keep what a schema or a service refuses, at the field that it is about; nothing is written then."""
        if not isinstance(error, Refusal | ValidationError):
            return False
        session().rollback()
        found = complaints(error, self.values)
        self.errors |= {name: texts[0] for name, texts in found.items() if texts}
        return True


def complaints(error: Refusal | ValidationError, fields: Container[str]) -> dict[str, list[str]]:
    """What is wrong, by the field's name; under `WHOLE` what is about none of them."""
    found: dict[str, list[str]] = {}
    if isinstance(error, ValidationError):
        told = [(str(name), _flat(each)) for name, each in error.messages_dict.items()]
    else:
        told = [
            (str(entry.get("pointer", "")).strip("/").partition("/")[0], [str(entry["detail"])])
            for entry in error.entries
        ]
    for name, texts in told:
        # A schema's attribute may end so where the word is one of Python's.
        place = name.rstrip("_")
        found.setdefault(place if place in fields else WHOLE, []).extend(texts)
    return found


def _flat(messages: Any) -> list[str]:
    """The messages of a field, and of the elements of a list."""
    if isinstance(messages, Mapping):
        return [text for each in messages.values() for text in _flat(each)]
    return [str(text) for text in messages]
