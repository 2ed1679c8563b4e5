"""The alerts that Prometheus is given: Debian's `promtool` reads and tries them, and each has a runbook."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "sentinel.json"
TRIALS = ROOT / "tests" / "alerts_test.yml"
RUNBOOKS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PROMTOOL = Path("/usr/bin/promtool")
RUNBOOK_PAGE = (
    "{{ with $externalLabels.sentinel_runbooks }}{{ . }}{{ else }}docs/operations.md{{ end }}"
)


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def name_of(alert: dict[str, Any]) -> str:
    return str(alert["alert"])


def promtool(*words: str) -> str:
    if not PROMTOOL.exists() and not os.environ.get("CI"):
        pytest.skip("needs Prometheus: apt-get install prometheus")
    done = subprocess.run([PROMTOOL, *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_accepts_the_configuration_and_every_alert() -> None:
    said = promtool("check", "config", "deploy/prometheus/prometheus.yml")
    assert f"SUCCESS: {len(alerts())} rules found" in said


def test_promtool_sees_every_alert_fire_when_it_should_and_only_then() -> None:
    assert "SUCCESS" in promtool("test", "rules", str(TRIALS))


def test_the_label_that_leads_to_the_runbooks_stands_in_the_configuration_to_be_filled_in(
    tmp_path: Path,
) -> None:
    shipped = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    shutil.copy(ALERTS, tmp_path)
    (tmp_path / "prometheus.yml").write_text(shipped.replace("# external", "external"))
    promtool("check", "config", str(tmp_path / "prometheus.yml"))
    filled_in = yaml.safe_load((tmp_path / "prometheus.yml").read_text(encoding="utf-8"))
    [label] = filled_in["global"]["external_labels"]
    assert f"$externalLabels.{label} " in RUNBOOK_PAGE


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD], ids=lambda file: file.stem)
def test_nothing_is_made_of_what_one_host_counts_where_an_address_may_stand_for_many(
    file: Path,
) -> None:
    # Each would seem to begin anew whenever another host answers.
    assert "flask_" not in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("alert", alerts(), ids=name_of)
def test_an_alert_is_tried_both_ways_and_says_what_it_means_and_what_to_do(
    alert: dict[str, Any],
) -> None:
    name = name_of(alert)
    trials = yaml.safe_load(TRIALS.read_text(encoding="utf-8"))["tests"]
    fires = [
        bool(trial.get("exp_alerts"))
        for each in trials
        for trial in each["alert_rule_test"]
        if trial["alertname"] == name
    ]
    assert {True, False} <= set(fires)
    assert alert["labels"]["severity"] in ("warning", "critical")
    assert {"summary", "description"} <= set(alert["annotations"])
    assert alert["annotations"]["runbook_url"] == f"{RUNBOOK_PAGE}#{name.lower()}"
    section = RUNBOOKS.partition(f"### {name}\n")[2].partition("\n#")[0]
    assert "**Look**: " in section
    assert "**Do**: " in section


def test_no_runbook_is_of_an_alert_that_is_no_more() -> None:
    kept = re.findall(r"^### (Sentinel\w+)$", RUNBOOKS, re.MULTILINE)
    assert kept == [name_of(alert) for alert in alerts()]
