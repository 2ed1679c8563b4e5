"""Forms made from a marshmallow schema: an input for each of its fields, and back from what was typed to a document.

Nothing in here knows a schema by its name, so that a new kind of channel has its form by being there.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from marshmallow import Schema, fields, validate

PREFIX, CLEAR = "config.", "clear."
SPELLED: Final = {"url": "URL", "api": "API", "id": "ID", "smtp": "SMTP", "tls": "TLS"}
LONG: Final = {"lines", "pairs", "json"}

Typed = Mapping[str, str]
Errors = dict[str, list[str]]


@dataclass(frozen=True)
class Input:
    """One field of a form. A secret never has a value; `kept` says that there is one, `cleared` that it is to go."""

    name: str
    label: str
    control: str
    help: str = ""
    required: bool = False
    secret: bool = False
    kept: bool = False
    cleared: bool = False
    value: str = ""
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    wrong: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """What labels point to."""
        return self.name.replace(".", "-")


def inputs(
    schema: Schema,
    values: Mapping[str, Any],
    *,
    kept: Collection[str] = (),
    typed: Typed | None = None,
    errors: Mapping[str, list[str]] | None = None,
    last: Collection[str] = (),
) -> list[Input]:
    """The inputs for a schema, required ones first; what was typed stays, but for secrets."""
    found = [
        _input(name, field, values.get(name), kept, typed, (errors or {}).get(name, []))
        for name, field in schema.fields.items()
        if not field.dump_only
    ]
    names = {f"{PREFIX}{name}" for name in last}
    return sorted(found, key=lambda one: (one.name in names, not one.required))


def secrets(schema: Schema) -> list[Input]:
    """The inputs for what is secret alone."""
    return [one for one in inputs(schema, {}) if one.secret]


def read(schema: Schema, typed: Typed, *, changing: bool = False) -> tuple[dict[str, Any], Errors]:
    """The document that was typed, and what could not be read of it.

    What is empty is left out. In a change it is null, which takes the value away; but a secret that is empty stays,
    unless it is to be cleared.
    """
    document: dict[str, Any] = {}
    errors: Errors = {}
    for name, field in schema.fields.items():
        control = control_of(field, name)
        text = typed.get(PREFIX + name, "").strip()
        if control == "switch":
            if text or changing or field.load_default is True:
                document[name] = bool(text)
        elif text:
            try:
                document[name] = _parsed(control, field, text)
            except ValueError as error:
                errors[name] = [str(error)]
        elif changing and (not _is_secret(field) or typed.get(CLEAR + name)):
            document[name] = None
    return document, errors


def check(schema: Schema, document: Mapping[str, Any]) -> Errors:
    """What the schema has against a document, by field."""
    found: Mapping[str, Any] = schema.validate(document)
    return {str(name): list(_messages(said)) for name, said in found.items()}


def control_of(field: fields.Field[Any], name: str) -> str:
    """How a field is typed: what is of no simple type is typed as JSON."""
    if any(isinstance(one, validate.OneOf) for one in field.validators):
        return "choice"
    match field:
        case fields.Boolean():
            return "switch"
        case fields.Integer():
            return "number"
        case fields.Float() | fields.Decimal():
            return "decimal"
        case fields.List() if isinstance(field.inner, fields.String):
            return "lines"
        case fields.Dict() if isinstance(field.value_field, fields.String):
            return "pairs"
        case fields.String():
            return "password" if _is_secret(field) else _of_text(field, name)
        case _:
            return "json"


def _of_text(field: fields.Field[Any], name: str) -> str:
    if isinstance(field, fields.Email):
        return "email"
    return "url" if isinstance(field, fields.Url) or name.split("_")[-1] == "url" else "text"


def _input(
    name: str,
    field: fields.Field[Any],
    value: Any,
    kept: Collection[str],
    typed: Typed | None,
    wrong: list[str],
) -> Input:
    control, secret = control_of(field, name), _is_secret(field)
    known = value if value is not None else _default(field)
    text = _text(control, known) if typed is None else typed.get(PREFIX + name, "")
    limits = next((one for one in field.validators if isinstance(one, validate.Range)), None)
    return Input(
        name=PREFIX + name,
        label=str(field.metadata.get("label") or _label(name)),
        control=control,
        help=str(field.metadata.get("description") or ""),
        required=field.required,
        secret=secret,
        kept=name in kept,
        cleared=bool((typed or {}).get(CLEAR + name)),
        value="" if secret else text,
        choices=_choices(field),
        least=limits.min if limits else None,
        most=limits.max if limits else None,
        wrong=tuple(wrong),
    )


def _is_secret(field: fields.Field[Any]) -> bool:
    return bool(field.metadata.get("secret"))


def _default(field: fields.Field[Any]) -> Any:
    return field.load_default if isinstance(field.load_default, str | int | float | list) else None


def _choices(field: fields.Field[Any]) -> tuple[str, ...]:
    offered = next((one for one in field.validators if isinstance(one, validate.OneOf)), None)
    return tuple(map(str, offered.choices)) if offered else ()


def _label(name: str) -> str:
    words = [SPELLED.get(word, word) for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _text(control: str, value: Any) -> str:
    """A value as somebody would type it."""
    if value is None or value is False:
        return ""
    match control:
        case "switch":
            return "on"
        case "lines":
            return "\n".join(value)
        case "pairs":
            return "\n".join(f"{name}: {text}" for name, text in value.items())
        case "json":
            return json.dumps(value, indent=2, ensure_ascii=False)
        case _:
            return str(value)


def _parsed(control: str, field: fields.Field[Any], text: str) -> Any:
    """What a text stands for; a number that is none is left to the schema to refuse."""
    if "\0" in text:
        raise ValueError("contains NUL")
    match control:
        case "number" | "decimal":
            return _number(int if control == "number" else float, text)
        case "choice":
            offered = next(one for one in field.validators if isinstance(one, validate.OneOf))
            return next((one for one in offered.choices if str(one) == text), text)
        case "lines":
            return [line.strip() for line in text.splitlines() if line.strip()]
        case "pairs":
            return dict(_pair(line) for line in text.splitlines() if line.strip())
        case "json":
            return _json(text)
        case _:
            return text


def _number(kind: type[int] | type[float], text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        return text


def _pair(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    if not colon:
        raise ValueError("write one a line, as in `Name: value`")
    return name.strip(), value.strip()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON: {error}") from error


def _messages(said: Any) -> Iterator[str]:
    """The sentences in what marshmallow says, however deep."""
    if isinstance(said, Mapping):
        for more in said.values():
            yield from _messages(more)
    elif isinstance(said, list):
        for more in said:
            yield from _messages(more)
    else:
        yield str(said)
