"""Other rule engines on the same rules and events, each asserted to find the same matches.

They live in a virtual environment of their own, made by this benchmark from a locked list. One that
does not install, or that answers otherwise, is reported as such.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from bench.peer_worker import ADAPTERS
from bench.report import Row, at_least
from bench.rules import indexed, per_event
from bench.rules_workload import Event, Test, workload, written

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".venv-bench"
LOCK = ROOT / "requirements-bench.txt"
TIMES_FASTER = {1_000: 20, 10_000: 2_000}
SLOW = {1_000: 10, 10_000: 2}  # events that a peer is given
LONGEST = 300
PYTHON = {"and": "and", "or": "or", "not": "not ", "startswith": "{} =~ {}"}
CEL = {"and": "&&", "or": "||", "not": "!", "startswith": "{}.startsWith({})"}
ZEN = {"and": "and", "or": "or", "not": "not ", "startswith": "startsWith({}, {})"}


def measure() -> list[Row]:
    """A row for each peer and number of rules, and how much faster the index is."""
    python = environment()
    rows = []
    for size, goal in TIMES_FASTER.items():
        tests, events = workload(size, 300)
        rules = indexed(tests)
        ours = per_event(rules.match, events)
        few = events[: SLOW[size]]
        given = json.dumps({"rules": texts(tests), "events": few})
        wanted = [rules.match(event) for event in few]
        fastest = None
        for name in ADAPTERS:
            row, cost = peer(python, name, size, given, wanted)
            rows.append(row)
            fastest = min(filter(None, (fastest, cost)), default=None)
        if fastest:
            what = f"faster than the fastest peer, {size:,}"
            rows.append(at_least(what, fastest / ours, "×", goal))
    return rows


def environment() -> Path:
    """The interpreter of the peers' own environment."""
    python = HOME / "bin" / "python"
    if not python.exists():
        venv.create(HOME, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(LOCK)]
    if subprocess.run(install, check=False).returncode:
        print("some peers could not be installed", file=sys.stderr)
    return python


def peer(
    python: Path, name: str, size: int, given: str, wanted: list[list[int]]
) -> tuple[Row, float | None]:
    """One peer's cost of an event, if it finds what it should."""
    what = f"{size:,} rules, {name}"
    command = [str(python), str(ROOT / "bench" / "peer_worker.py"), name]
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=LONGEST, check=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        output = str(getattr(error, "stderr", "") or error).strip()
        return Row(what, 0, "", f"failed: {output[-80:]}", None), None
    answer: dict[str, Any] = json.loads(done.stdout)
    if answer["found"] != wanted:
        return Row(what, 0, "", "failed: other matches", None), None
    cost: float = answer["microseconds"]
    return Row(what, cost, "µs", "", None), cost


def texts(tests: list[Test]) -> dict[str, list[Any]]:
    """The rules in the languages of the peers."""
    return {
        "python": [written(_anchored(test), PYTHON, str) for test in tests],
        "cel": [written(test, CEL, str) for test in tests],
        "cel of e": [written(test, CEL, "e.{}".format) for test in tests],
        "zen": [written(test, ZEN, str) for test in tests],
        "json": [_logic(test) for test in tests],
        "tree": [_positive(test) for test in tests],
    }


OPPOSITES = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def _positive(test: Test, holds: bool = True) -> Test:
    """A rule without `not`, which durable_rules does not have; every field of an event is there."""
    sign, *rest = test
    if sign == "not":
        return _positive(rest[0], not holds)
    if sign in ("and", "or"):
        join = sign if holds else {"and": "or", "or": "and"}[sign]
        return (join, *(_positive(each, holds) for each in rest))
    if holds:
        return test
    if sign == "in":
        return ("and", *(("!=", rest[0], each) for each in rest[1]))
    return (OPPOSITES[sign], *rest)


def _anchored(test: Test) -> Test:
    """rule-engine has no prefixes, but regexes, which it anchors at the beginning."""
    sign, *rest = test
    if sign in ("and", "or", "not"):
        return (sign, *map(_anchored, rest))
    return (sign, rest[0], rest[1] + ".*") if sign == "startswith" else test


def _logic(test: Test) -> Event:
    sign, *rest = test
    if sign in ("and", "or", "not"):
        return {"!" if sign == "not" else sign: [_logic(each) for each in rest]}
    variable: Event = {"var": rest[0]}
    if sign == "startswith":
        return {"==": [{"substr": [variable, 0, len(rest[1])]}, rest[1]]}
    return {sign: [variable, rest[1]]}
