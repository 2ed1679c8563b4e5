"""The benchmark runs, and its numbers are of what really happened."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.acceptance


def bench(*words: str) -> tuple[list[dict[str, Any]], str]:
    """The rows of a run, and what it said meanwhile."""
    command = [sys.executable, "-m", "app.cli", "bench", *words, "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert ran.returncode == 0, ran.stderr[-4000:]
    return json.loads(ran.stdout), ran.stderr


def test_a_small_run_tells_both_sides_and_looks_for_every_event(tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    words = ["throughput", "--only", "posts", "--rounds", "1", "--scale", "0.05", "--plot"]
    (rate, cost), said = bench(*words, str(plot))
    assert rate["value"] == pytest.approx(rate["ours"] / rate["parts"])
    assert rate["met"] is (rate["value"] >= 0.4)
    assert cost["ours"] > 0
    assert "each with its outcome" in said
    assert plot.read_text(encoding="utf-8").startswith("<svg")


def test_a_small_run_of_rules_with_memory_finds_what_it_has_filled_in() -> None:
    rows, said = bench("stateful", "--rounds", "1", "--scale", "0.01")
    against = rows[0]
    assert against["value"] == pytest.approx(against["ours"] / against["parts"])
    assert [row["met"] is not None for row in rows].count(True) == 4
    held = [row["ours"] for row in rows if row["unit"] == "MB"]
    assert held[-1] == max(held)
    assert "0 matched" in said
    assert "101 matched" in said


def test_a_small_run_of_backtests_finds_what_matches() -> None:
    rows, said = bench("backtest", "--events", "5000", "--only", "stateless", "--only", "many")
    assert [row["unit"] for row in rows] == ["s", "s", "s", "MB"] * 2
    assert "150 matches" in said


def test_a_small_run_of_the_console_measures_each_page_and_the_tails() -> None:
    found, said = bench("console", "--events", "5000")
    rows = {row["what"]: row for row in found}
    assert rows["`/console/alerts/:id`"]["unit"] == "ms"
    assert rows["p95 of POST at 100/s, 40 tails open"]["ours"] > 0
    assert all(row["ours"] > 0 for what, row in rows.items() if "weight" in what)
    assert "answers to 40 tails" in said
