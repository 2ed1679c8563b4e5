"""The documentation names everything there is."""

import ast
import re
from pathlib import Path

import pytest

from app.metrics import _GAUGES, _LABELLED, DEFINITIONS
from app.services.backtesting.words import WHY_ELSE
from tests.chaos.changes import GUARDS

ROOT = Path(__file__).parents[1]
VARIABLE = re.compile(r"(?:SENTINEL|SLACK|CELERY|DATABASE|REDIS|PROMETHEUS|SMTP|OTEL)_[A-Z_]+")
# Between our own processes, for nobody to set.
INTERNAL = {"SENTINEL_METRICS_OWNER", "SENTINEL_LOCAL_HOME"}


def variables_read() -> set[str]:
    """Every string in the code that is just the name of a variable."""
    files = [*ROOT.glob("app/**/*.py"), ROOT / "deploy" / "gunicorn.conf.py", ROOT / "sentinel"]
    return {
        node.value
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and VARIABLE.fullmatch(node.value)
    }


def documented_variables() -> set[str]:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    return {name for name in re.findall(r"`([A-Z_]+)`", text) if VARIABLE.fullmatch(name)}


def test_every_variable_that_is_read_is_documented_and_no_other() -> None:
    read = {name.removesuffix("_FILE") for name in variables_read()} - INTERNAL
    assert read == documented_variables()


def links() -> list[tuple[Path, str]]:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
        if not target.startswith("http")
    ]


def test_every_link_between_the_pages_leads_somewhere() -> None:
    broken = [
        (page.name, target) for page, target in links() if not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_decision_has_its_number_in_order() -> None:
    names = sorted(page.name for page in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(name[:3]) for name in names] == list(range(1, len(names) + 1))


def metrics_with_labels() -> set[str]:
    """What `/metrics` shows of Sentinel itself, each counter with its ending and all with their labels."""
    counters = {f"{one.name}{'' if one.buckets else '_total'}": one.labels for one in DEFINITIONS}
    gauges: dict[str, tuple[str, ...]] = {name: () for name, *_ in _GAUGES} | {
        name: (label,) for name, _, label, _ in _LABELLED
    }
    shown: dict[str, tuple[str, ...]] = counters | gauges | {"sentinel_build_info": ()}
    return {f"{name}{{{','.join(of)}}}" if of else name for name, of in shown.items()}


def test_every_metric_is_documented_with_its_labels_and_no_other() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    table = text.partition("`GET /metrics` is for Prometheus")[2].partition("\n## ")[0]
    named = re.findall(
        r"`((?:sentinel|events|rules|notifications)_[a-z_]+(?:\{[a-z,]+\})?)`", table
    )
    assert set(named) == metrics_with_labels()


GUARANTEES = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["guarantees.md", "integrations.md"])
def test_every_test_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    defined = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named
    assert named <= defined


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    table = text.partition("| command |")[2].partition("\n\n")[0]
    named = re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
    commands = {file.stem for file in (ROOT / "app" / "cli").glob("[a-z]*.py")}
    assert set(re.findall(r"`([a-z]+)`", " ".join(named))) == commands


def test_the_guarantees_list_every_guard_and_no_other() -> None:
    table = GUARANTEES.partition("| guard |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)) == sorted(GUARDS)


def test_every_reason_why_live_did_otherwise_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "backtesting.md").read_text(encoding="utf-8")
    table = text.partition("| `reason` | why |")[2].partition("| none |")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == WHY_ELSE.keys()
