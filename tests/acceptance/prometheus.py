"""Debian's Prometheus for a test, with the shipped rules and jobs, scraping every few seconds."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.acceptance.neighbours import PROMETHEUS, Neighbour

SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"


class Prometheus(Neighbour):
    """A server that scrapes `targets`, which stand in for those of the shipped jobs."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text(encoding="utf-8"))
        # The exporter takes a second for each answer.
        config["global"] = {"scrape_interval": "3s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(SHIPPED / name) for name in config["rule_files"]]
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
        super().__init__(PROMETHEUS, config, "--storage.tsdb.path=FOLDER/data")

    def query(self, expression: str) -> list[float]:
        """The values of an instant query."""
        found = self.get("query", query=expression)["result"]
        return [float(one["value"][1]) for one in found]

    def get(self, path: str, **params: str) -> Any:
        """The `data` of an answer of its API."""
        answer = requests.get(f"http://{self.address}/api/v1/{path}", params=params, timeout=10)
        assert answer.ok, answer.text
        return answer.json()["data"]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        alerts = self.get("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}


def lint(exposition: str) -> str:
    """What `promtool check metrics` has to say; nothing where all is well."""
    command = ["/usr/bin/promtool", "check", "metrics"]
    done = subprocess.run(command, input=exposition, capture_output=True, text=True)
    return done.stdout + done.stderr
