"""The functions of the language, one file a family, found by looking."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TypedDict

from rules_dsl.functions.registry import Function, registered

__all__ = ["Entry", "Function", "catalogue", "functions"]


class Entry(TypedDict):
    """A function as a reference or an editor's completion shows it."""

    name: str
    signature: str
    summary: str
    family: str


@cache
def functions() -> Mapping[str, Function]:
    """Every function of the language, by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(registered().items()))


def catalogue() -> list[Entry]:
    """Every function with its signature and its docstring, by name."""
    return [
        {
            "name": each.name,
            "signature": each.signature,
            "summary": each.summary,
            "family": each.family,
        }
        for each in functions().values()
    ]
