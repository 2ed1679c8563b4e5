"""Converted routes beside Alertmanager's own word: whom `amtool config routes test` says that an alert reaches."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_dsl import read_rules_file
from tests.app.cli.conftest import Command
from tests.app.cli.test_convert import ALERTMANAGER

RECEIVERS = ("r0", "r1", "r2", "r3")
LABELS = ("a", "b", "severity")
VALUES = ("x", "y", "xy", "x.y", "é z", 'q"\\')
REGEXES = ("x|y", "x.*", ".+", ".*", "", "(?i)X", "x\\.y", "[^x]", "x|")
EXAMPLES = 60

Route = dict[str, Any]


def quoted(text: str) -> str:
    """A value of a matcher between quotes, as Alertmanager reads it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def matchers(draw: st.DrawFn) -> dict[str, Any]:
    """What a route says of labels, in one of the ways in which that can be written."""
    said = draw(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from(LABELS), st.sampled_from(("=", "!=")), st.sampled_from((*VALUES, ""))),
                st.tuples(st.sampled_from(LABELS), st.sampled_from(("=~", "!~")), st.sampled_from(REGEXES)),
            ),
            max_size=3,
        )
    )  # fmt: skip
    texts = [f"{label}{operator}{quoted(value)}" for label, operator, value in said]
    match draw(st.sampled_from(("matchers", "braces", "match"))):
        case "braces":
            return {"matchers": ["{" + ", ".join(texts) + "}"]} if texts else {}
        case "match":
            plain = {label: value for label, operator, value in said if operator == "="}
            regexes = {label: value for label, operator, value in said if operator == "=~"}
            return {"match": plain, "match_re": regexes}
    return {"matchers": texts}


def routes(depth: int) -> st.SearchStrategy[Route]:
    """A route with as many below it."""
    below = st.lists(routes(depth - 1), max_size=3) if depth else st.just([])
    return st.builds(
        lambda said, receiver, goes_on, below: {
            **said,
            **({"receiver": receiver} if receiver else {}),
            **({"continue": True} if goes_on else {}),
            **({"routes": below} if below else {}),
        },
        matchers(),
        st.sampled_from((None, *RECEIVERS)),
        st.booleans(),
        below,
    )


TREES = st.lists(routes(2), min_size=1, max_size=3).map(
    lambda below: {
        "route": {"receiver": RECEIVERS[0], "routes": below},
        "receivers": [
            {"name": name, "webhook_configs": [{"url": f"http://{name}.example/"}]}
            for name in RECEIVERS
        ],
    }
)
ALERTS = st.lists(
    st.dictionaries(st.sampled_from(LABELS), st.sampled_from(VALUES)), min_size=3, max_size=3
)


def amtool(file: Path, labels: Mapping[str, str]) -> list[str]:
    """The receivers that Alertmanager itself would tell, one for each route."""
    words = [f"{label}={quoted(value)}" for label, value in labels.items()]
    done = subprocess.run(
        ["amtool", "config", "routes", "test", f"--config.file={file}", *words],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return sorted(done.stdout.strip().split(","))


def converted(command: Command, text: str, alerts: Sequence[Mapping[str, str]]) -> list[list[str]]:
    """The receivers that the converted rules tell of each alert; a rule's name has its own."""
    done = command("convert", "alertmanager", "-", said=text)
    assert done.exit_code == 0, done.output
    rules = [(each.name.rpartition(" to ")[2], each.rule) for each in read_rules_file(done.stdout)]
    told = []
    for labels in alerts:
        event = {"type": "prometheus.alert.firing", "labels": labels}
        told.append(sorted(name.partition(" (")[0] for name, rule in rules if rule.matches(event)))
    return told


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Where an Alertmanager's configuration is to be."""
    if not shutil.which("amtool") and not os.environ.get("CI"):
        pytest.skip("needs amtool: apt-get install prometheus-alertmanager")
    return tmp_path / "alertmanager.yml"


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES, alerts=ALERTS)
def test_an_alert_reaches_whom_amtool_says_whatever_the_routes(
    command: Command, config: Path, tree: dict[str, Any], alerts: list[dict[str, str]]
) -> None:
    config.write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    told = converted(command, config.read_text(encoding="utf-8"), alerts)
    assert told == [amtool(config, labels) for labels in alerts]


# As many as its matchers can tell apart.
KNOWN = [
    {"service": service, "severity": severity, "owner": owner}
    for service in ("web", "foo1", "foo10", "files", "database")
    for severity in ("critical", "warning")
    for owner in ("team-X", "team-Y", "")
]


def test_alertmanagers_own_example_reaches_whom_amtool_says(command: Command, config: Path) -> None:
    # amtool wants to know by which server a mail would go.
    smarthost = "global: {smtp_smarthost: 'localhost:25', smtp_from: 'a@example.org'}\n"
    config.write_text(smarthost + ALERTMANAGER, encoding="utf-8")
    alerts = [{name: value for name, value in one.items() if value} for one in KNOWN]
    assert converted(command, ALERTMANAGER, alerts) == [amtool(config, one) for one in alerts]
