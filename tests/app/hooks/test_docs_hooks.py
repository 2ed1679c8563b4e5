"""What docs/hooks.md says of each source is so."""

import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import pytest

from app.hooks import alerts, examples, registry
from app.hooks.base import Delivery
from tests.app.client import Client

PAGE = (Path(__file__).parents[3] / "docs" / "hooks.md").read_text(encoding="utf-8")
RULES = re.findall(r"^    (when .*(?:\n    .+)*)", PAGE, re.MULTILINE)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def example_of(type_: str) -> list[dict[str, object]]:
    """The events of an example; what Prometheus sends is an alert as Alertmanager has it."""
    if type_.startswith("prometheus."):
        [alert] = examples.make("alertmanager.alert.firing", AT).heard()
        labels = {**alert.fields["labels"], "severity": "page"}
        return [alerts.heard("prometheus", "firing", {**alert.fields, "labels": labels}, {}).body()]
    return [one.body() for one in examples.make(type_, AT).heard()]


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_fires_on_the_example_of_its_type(client: Client, rule: str) -> None:
    rule = re.sub(r"\n\s+", "\n", rule)
    found = re.search(r'when type == "([^"]+)"', rule)
    assert found
    for event in example_of(found[1]):
        answer = client.post("/rules/test", json={"dsl": rule, "event": event})
        assert answer.status_code == 200, answer.text
        assert answer.json["matched"] is True, answer.json


@pytest.mark.parametrize("name", registry.names())
def test_every_source_is_documented_with_a_rule(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert any(f'type == "{name}.' in rule for rule in RULES)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_what_the_shell_signs_is_right() -> None:
    lines = re.findall(r"^      ((?:body|sum)=.*)", PAGE, re.MULTILINE)
    script = "\n".join([*lines, 'printf "%s\\n%s\\n%s" "$now" "$sum" "$body"'])
    done = subprocess.run(
        ["bash", "-c", dedent(script)],
        env={"SECRET": "hush hush", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    now, total, body = done.stdout.split("\n")
    headers = {"x-sentinel-timestamp": now, "x-sentinel-signature": f"sha256={total}"}
    registry.get("generic").check(
        Delivery(headers, body.encode(), datetime.fromtimestamp(int(now), UTC)), "hush hush"
    )
