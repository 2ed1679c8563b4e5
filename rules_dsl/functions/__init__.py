"""The functions of the language, one file a family, found by looking."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from rules_dsl.functions.registry import Function, registered

__all__ = ["Function", "functions"]


@cache
def functions() -> Mapping[str, Function]:
    """Every function of the language, by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(registered().items()))
