"""Forms that people fill in: what was typed, and what is wrong with it, at the field where it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from flask import request
from marshmallow import ValidationError

from app.extensions import session
from app.services.errors import Refusal

WHOLE = ""


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
        if isinstance(error, ValidationError):
            for name, messages in error.messages_dict.items():
                self.errors[self._place(str(name))] = _first(messages)
            return True
        if isinstance(error, Refusal):
            session().rollback()
            for entry in error.entries:
                pointer = str(entry.get("pointer", ""))
                place = self._place(pointer.strip("/").partition("/")[0])
                self.errors[place] = str(entry["detail"])
            return True
        return False

    def _place(self, name: str) -> str:
        name = name.rstrip("_")
        return name if name in self.values else WHOLE


def _first(messages: object) -> str:
    """The first message of marshmallow's tree."""
    while isinstance(messages, Mapping | list):
        messages = next(iter(messages.values() if isinstance(messages, Mapping) else messages), "")
    return str(messages)
