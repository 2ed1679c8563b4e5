"""The benchmark runs, and its numbers are of what really happened."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.acceptance


def test_a_small_run_tells_both_sides_and_looks_for_every_event(tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    words = ("--only", "posts", "--rounds", "1", "--scale", "0.05", "--json", "--plot", str(plot))
    command = [sys.executable, "-m", "app.cli", "bench", "throughput", *words]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    rate, cost = json.loads(ran.stdout)
    assert rate["value"] == pytest.approx(rate["ours"] / rate["parts"])
    assert rate["met"] is (rate["value"] >= 0.4)
    assert cost["ours"] > 0
    assert "each with its outcome" in ran.stderr
    assert plot.read_text(encoding="utf-8").startswith("<svg")
