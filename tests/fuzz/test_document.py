"""Schemathesis: every operation does what the OpenAPI document says, whatever it is sent."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.conftest import SECONDS, SHORT, Target

pytestmark = pytest.mark.acceptance

CONFIG = Path(__file__).with_name("schemathesis.toml")
# A count, and no time: a busy machine must come to each operation with the key, too.
EXAMPLES = str(SECONDS // 3)
MOST = 20 * SECONDS
SEED = ["--seed", "1"] if SECONDS <= SHORT else []


def test_every_operation_does_what_the_document_says(target: Target, tmp_path: Path) -> None:
    """All checks, all phases: examples, edges of each type, random cases, and chains of calls."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
        *("run", f"{target.url}/openapi.json", "--checks", "all", "-n", EXAMPLES),
        *("--header", f"Authorization: Bearer {target.key}", "--request-timeout", "20"),
        *("--no-shrink", "--continue-on-failure", *SEED),
        # The versions of a deleted rule stay: they explain what it did. That the rest is gone, other tests show.
        *("--exclude-checks", "use_after_free"),
    ]
    env = {name: value for name, value in os.environ.items() if not name.endswith("_PROXY")}
    env |= {"PYTHONPATH": str(CONFIG.parents[2]), "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks"}
    run = subprocess.run(
        command, cwd=tmp_path, env=env, text=True, capture_output=True, timeout=MOST
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert "Authentication failed" not in run.stdout
    print(run.stdout[run.stdout.rfind("= SUMMARY") :])
