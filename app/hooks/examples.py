"""Deliveries as the sources' own documentation shows them, made as if they were sent now."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from app.hooks import registry
from app.hooks.base import Delivery, Heard, Source

PUBLISHED: Final = Path(__file__).with_name("published")


class UnknownExample(LookupError):
    """A type of event that no source has an example of."""


@dataclass(frozen=True)
class Example:
    """A delivery that nobody has signed yet, and its source."""

    source: Source
    delivery: Delivery

    def signed(self, secret: str) -> Mapping[str, str]:
        """All headers of the delivery, as who knows `secret` would send it."""
        return {**self.delivery.headers, **self.source.sign(self.delivery, secret)}

    def heard(self) -> list[Heard]:
        """The events that it is."""
        return list(self.source.events(self.delivery, json.loads(self.delivery.body)))


@cache
def _published() -> Mapping[str, tuple[str, Mapping[str, Any]]]:
    """By the type of the event, its source and its example."""
    files = [(name, PUBLISHED / f"{name}.json") for name in registry.names()]
    return {
        type_: (name, example)
        for name, file in files
        for type_, example in json.loads(file.read_text(encoding="utf-8"))["examples"].items()
    }


def types() -> tuple[str, ...]:
    """The types of events that there are examples of, sorted."""
    return tuple(sorted(_published()))


def source_of(type_: str) -> str:
    """The name of the source of a type of event; raises `UnknownExample`."""
    return _found(type_)[0]


def make(type_: str, now: datetime) -> Example:
    """An example that never was before, since it happens now; raises `UnknownExample`."""
    name, example = _found(type_)
    values = {"{now}": now.isoformat(), "{seconds}": int(now.timestamp()), "{id}": str(uuid4())}
    headers = {
        key.lower(): str(value) for key, value in _filled(example["headers"], values).items()
    }
    body = json.dumps(_filled(example["body"], values), ensure_ascii=False).encode()
    headers["content-type"] = "application/json"
    return Example(registry.get(name), Delivery(headers, body, now))


def _found(type_: str) -> tuple[str, Mapping[str, Any]]:
    try:
        return _published()[type_]
    except KeyError:
        raise UnknownExample(type_) from None


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    """The example with what is new about it in the place of `{now}`, `{seconds}` and `{id}`."""
    if isinstance(value, dict):
        return {key: _filled(below, values) for key, below in value.items()}
    if isinstance(value, list):
        return [_filled(below, values) for below in value]
    if value in ("{now}", "{seconds}"):
        return values[value]
    return value.replace("{id}", values["{id}"]) if isinstance(value, str) else value
