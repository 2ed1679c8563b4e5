"""What Sentinel is made of can be told: the bill of materials that the documentation says how to make."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^ ;]+)", re.MULTILINE)


def documented(program: str) -> list[str]:
    """The command line of that program in the page on security."""
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    [line] = re.findall(rf"^    \.venv/bin/({program} .*)$", page, re.MULTILINE)
    return shlex.split(line)


def test_the_bill_of_materials_lists_each_locked_package_with_its_hashes(tmp_path: Path) -> None:
    program, *words = documented("cyclonedx-py")
    bill = tmp_path / "bill.json"
    words[words.index("-o") + 1] = str(bill)
    command = [str(Path(sys.executable).parent / program), *words]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    told = json.loads(bill.read_text(encoding="utf-8"))
    assert told["metadata"]["component"]["name"] == "sentinel"
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    named = {(one["name"], one["version"]) for one in told["components"]}
    assert named == set(PIN.findall(lock))
    for one in told["components"]:
        assert any(link.get("hashes") for link in one["externalReferences"]), one["name"]


def test_the_audit_that_is_documented_reads_every_lock_that_is_installed() -> None:
    words = documented("pip-audit")
    audited = {words[place + 1] for place, word in enumerate(words) if word == "-r"}
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert set(re.findall(r"-r (requirements\S*)", image)) <= audited
    assert all((ROOT / lock).exists() for lock in audited)
