"""The sizes of the house: a module fits in a head, a function on a screen."""

import ast
import re
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("app", "tasks", "rules_dsl", "deploy", "bench")
MODULES = sorted(
    [file for room in ROOMS for file in (ROOT / room).rglob("*.py")]
    + [ROOT / name for name in ("sentinel", "wsgi.py", "celeryconfig.py")]
)
LONGEST_MODULE, MEDIAN_MODULE = 400, 120
LONGEST_FUNCTION, MEDIAN_FUNCTION = 50, 10


def lines_of(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def functions_of(file: Path) -> dict[str, int]:
    """Each function's length, from `def` to its last line."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    found = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}": (node.end_lineno or 0)
        - node.lineno
        + 1
        for node in ast.walk(tree)
        if isinstance(node, found)
    }


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_module_is_too_long(file: Path) -> None:
    assert lines_of(file) <= LONGEST_MODULE


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_function_is_too_long(file: Path) -> None:
    too_long = {name: size for name, size in functions_of(file).items() if size > LONGEST_FUNCTION}
    assert too_long == {}


def test_most_modules_and_functions_are_short() -> None:
    sizes = [size for file in MODULES for size in functions_of(file).values()]
    assert median(sizes) <= MEDIAN_FUNCTION
    assert median(lines_of(file) for file in MODULES) <= MEDIAN_MODULE


def test_no_two_kinds_of_advisory_lock_share_a_number() -> None:
    """Who waits for another kind than it thinks deadlocks with those that take them in another order."""
    found = [
        number
        for file in MODULES
        for number in re.findall(
            r"^_?[A-Z_]*LOCKS?\b[^=\n]*= (0x\w+)$", file.read_text(), re.MULTILINE
        )
    ]
    assert len(found) >= 5
    assert len(found) == len(set(found))
