"""What Sentinel is made of can be told: the bill of materials that the documentation says how to make."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^ ;]+)", re.MULTILINE)


BILLS = r"^    for lock in (.*); do\n {8}\.venv/bin/(cyclonedx-py .*)$"
[[LOCKS, COMMAND]] = re.findall(BILLS, PAGE, re.MULTILINE)


@pytest.mark.parametrize("lock", [f"{name}.txt" for name in LOCKS.split()])
def test_the_bill_of_materials_lists_each_locked_package_with_its_hashes(
    lock: str, tmp_path: Path
) -> None:
    program, *words = shlex.split(COMMAND.replace("$lock.txt", lock))
    bill = tmp_path / "bill.json"
    words[words.index("-o") + 1] = str(bill)
    command = [str(Path(sys.executable).parent / program), *words]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    told = json.loads(bill.read_text(encoding="utf-8"))
    assert told["metadata"]["component"]["name"] == "sentinel"
    pins = (ROOT / lock).read_text(encoding="utf-8")
    named = {(one["name"], one["version"]) for one in told["components"]}
    assert named == set(PIN.findall(pins))
    for one in told["components"]:
        assert any(link.get("hashes") for link in one["externalReferences"]), one["name"]


def test_there_is_a_bill_of_all_that_the_image_installs() -> None:
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    installed = set(re.findall(r"-r (requirements[a-z-]*\.txt)", image)) - {
        "requirements-exporter.txt"
    }
    assert installed == {f"{name}.txt" for name in LOCKS.split()}


def test_the_audit_that_is_documented_reads_every_lock_that_is_installed() -> None:
    loop = r"^    for lock in (.*); do\n {8}\.venv/bin/pip-audit "
    [locks] = re.findall(loop, PAGE, re.MULTILINE)
    audited = {f"{lock}.txt" for lock in locks.split()}
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"-r (requirements[a-z-]*\.txt)", image)) <= audited
    assert all((ROOT / lock).exists() for lock in audited)
