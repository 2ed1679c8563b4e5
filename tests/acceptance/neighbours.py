"""A Prometheus and an Alertmanager of their own for a test, from the system's packages, on free ports."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import requests

from app.cli.local.process import Child, last_lines
from tests.acceptance.ports import HOST, free_port
from tests.acceptance.scratch import Scratch
from tests.acceptance.waiting import wait_until

PROMETHEUS = Path("/usr/bin/prometheus")
ALERTMANAGER = Path("/usr/bin/prometheus-alertmanager")
START_SECONDS = 60


class Neighbour(Scratch):
    """One server of the two, in a scratch folder; it reads its configuration as JSON, which is YAML."""

    def __init__(self, program: Path, config: dict[str, Any], *flags: str) -> None:
        super().__init__(program.name)
        self.port = free_port()
        (self.folder / "config.yml").write_text(json.dumps(config))
        self._argv = (
            str(program),
            f"--config.file={self.folder}/config.yml",
            f"--web.listen-address={self.address}",
            *(flag.replace("FOLDER", str(self.folder)) for flag in flags),
        )

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self.port}"

    def begin(self) -> None:
        """The server, until it is ready."""
        child = self.run("server", *self._argv, env={"PATH": os.environ["PATH"]})
        wait_until(lambda: self._is_ready(child), START_SECONDS)

    def metric(self, name: str) -> float:
        """The sum of a metric of its own over all labels."""
        text = requests.get(f"http://{self.address}/metrics", timeout=5).text
        lines = [
            line for line in text.splitlines() if line.partition("{")[0].split()[0:1] == [name]
        ]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def _is_ready(self, child: Child) -> bool:
        assert child.exit_code is None, last_lines(self.log_of("server"), 30)
        try:
            return requests.get(f"http://{self.address}/-/ready", timeout=5).ok
        except requests.RequestException:
            return False


def alertmanager(webhook: str, secret: str) -> Neighbour:
    """One that tells a webhook of each alert at once, and again each second."""
    quick = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1s"}
    hook = {"url": webhook, "http_config": {"authorization": {"credentials": secret}}}
    config = {
        "route": {"receiver": "sentinel", "group_by": ["..."], **quick},
        "receivers": [{"name": "sentinel", "webhook_configs": [hook]}],
    }
    storage = "--storage.path=FOLDER/data"
    return Neighbour(ALERTMANAGER, config, storage, "--cluster.listen-address=")


def prometheus(rules: Path, target: str, *receivers: dict[str, Any]) -> Neighbour:
    """One that watches a target, and repeats its alerts each second."""
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "shop", "static_configs": [{"targets": [target]}]}],
        "alerting": {"alertmanagers": list(receivers)},
    }
    storage = "--storage.tsdb.path=FOLDER/data"
    return Neighbour(PROMETHEUS, config, storage, "--rules.alert.resend-delay=1s")


def need_prometheus() -> None:
    """Skip where they are not; in CI they must be."""
    if not (PROMETHEUS.exists() and ALERTMANAGER.exists()) and not os.environ.get("CI"):
        pytest.skip("needs Prometheus: apt-get install prometheus prometheus-alertmanager")
