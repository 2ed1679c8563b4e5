"""Kills the API at an exact point, once: put in front of a process's PYTHONPATH by a test, never by Sentinel.

`KILL_AT` names the point, `KILL_ONCE` a file that is removed before the kill. The process group goes, as when a machine
loses power: gunicorn's master could else finish what its worker began.
"""

import os
import signal
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any


def _die(*_: object, **__: object) -> None:
    try:
        Path(os.environ["KILL_ONCE"]).unlink()
    except FileNotFoundError:
        return
    os.killpg(0, signal.SIGKILL)


def _before(module: ModuleType, name: str) -> None:
    original = getattr(module, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        _die()
        return original(*args, **kwargs)

    setattr(module, name, dying)


def _arm(module: ModuleType) -> None:
    if os.environ["KILL_AT"] == "before_publish":
        _before(module, "publish")
    else:
        # What the door does last, when the wake-up has been handed over.
        _before(module, "accepted_one")


class Finder(MetaPathFinder):
    """Arms `app.api.intake` as it is imported."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if name != "app.api.intake":
            return None
        sys.meta_path.remove(self)
        import importlib.util

        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.loader is not None
        run = spec.loader.exec_module

        def exec_module(module: ModuleType) -> None:
            run(module)
            _arm(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if "KILL_AT" in os.environ:
    sys.meta_path.insert(0, Finder())
