"""Debian's Prometheus for a test, with the shipped rules and jobs, scraping every few seconds."""

import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import requests
import yaml

from app.cli.local.ports import next_free
from app.cli.local.process import Child, Spec, last_lines
from tests.acceptance.waiting import wait_until

PROGRAM = Path("/usr/bin/prometheus")
SHIPPED = Path(__file__).parents[2] / "deploy" / "prometheus"
START_SECONDS = 60


class Prometheus:
    """A server that scrapes `targets`, which stand in for those of the shipped jobs."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sentinel-prometheus-"))
        self._url = f"http://127.0.0.1:{next_free(random.randint(30_000, 38_000))}"
        shutil.copy(SHIPPED / "alerts.yml", self._folder)
        config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text(encoding="utf-8"))
        # The exporter takes a second for each answer.
        config["global"] = {"scrape_interval": "3s", "evaluation_interval": "1s"}
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
        self._child: Child | None = None

    def __enter__(self) -> Self:
        words = {
            "config.file": self._folder / "prometheus.yml",
            "storage.tsdb.path": self._folder / "data",
            "web.listen-address": self._url.removeprefix("http://"),
        }
        argv = (str(PROGRAM), *(f"--{name}={value}" for name, value in words.items()))
        try:
            self._child = Child(Spec("prometheus", argv, self._log, env=dict(os.environ)))
            wait_until(self._is_ready, START_SECONDS)
        except BaseException:  # also Ctrl-C: what was started must not outlive the test
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            print(f"--- prometheus.log\n{last_lines(self._log, 30)}")
        self.close()

    def query(self, expression: str) -> list[float]:
        """The values of an instant query."""
        found = self.get("query", query=expression)["result"]
        return [float(one["value"][1]) for one in found]

    def get(self, path: str, **params: str) -> Any:
        """The `data` of an answer of its API."""
        answer = requests.get(f"{self._url}/api/v1/{path}", params=params, timeout=10)
        assert answer.ok, answer.text
        return answer.json()["data"]

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        alerts = self.get("alerts")["alerts"]
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"}

    def close(self) -> None:
        """Stop it and remove every trace."""
        if self._child is not None:
            self._child.kill()
            self._child.wait(10)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _log(self) -> Path:
        return self._folder / "prometheus.log"

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self._url}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            return False


def need_prometheus() -> None:
    """Skip where there is none; in CI there must be one."""
    if not PROGRAM.exists() and not os.environ.get("CI"):
        pytest.skip("needs Prometheus: apt-get install prometheus")


def lint(exposition: str) -> str:
    """What `promtool check metrics` has to say; nothing where all is well."""
    command = ["/usr/bin/promtool", "check", "metrics"]
    done = subprocess.run(command, input=exposition, capture_output=True, text=True)
    return done.stdout + done.stderr
