"""Where letters are to be letters alone: `NO_COLOR`, and terminals that know nothing else."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def is_plain() -> bool:
    """Whether nobody wants colours, or weights, even on a terminal."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def console(**more: Any) -> "Console":
    """Rich's, which by itself would keep bold and dim where `NO_COLOR` is set."""
    from rich.console import Console

    return Console(color_system=None if is_plain() else "auto", **more)
