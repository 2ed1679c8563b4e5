"""What each process holds in memory with many rules.

PSS counts a page that several processes share in equal parts, so the sum of all is what the machine spends. RSS, which
counts it in full for each, is told beside it.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.cli.local.services import CORE
from bench.throughput import outcome, parts
from bench.throughput.evaluation import accept, allowed
from bench.throughput.events import add_rules
from bench.throughput.ledger import Ledger
from bench.throughput.load import request, run
from bench.throughput.outcome import Outcome
from bench.throughput.plan import Plan
from bench.throughput.posts import finish
from tests.acceptance.stack import Stack

RULES: Final = 10_000
EVENTS: Final = 20_000
GOAL: Final = 150
KINDS: Final = ("Pss", "Rss")
PROCESSES: Final = ("api", "events", "notifications")


def memory(plan: Plan) -> Iterator[Outcome]:
    """After all of them have worked."""
    rules, ledger = plan.many(RULES), Ledger()
    with parts.receiver(0) as port, Stack(env=allowed(port), start=CORE) as stack:
        add_rules(stack, rules, f"webhook:http://127.0.0.1:{port}/")
        for _ in range(2):
            accept(stack, plan.many(EVENTS), ledger)
        single = request("/events", b'{"type": "single"}')
        ledger.add(run(stack.ports.api, lambda _: single, 32, 3).answers)
        finish(stack, ledger, plan)
        for name in PROCESSES:
            handle = stack.processes[name]
            pids = [handle.pid, *handle.forks]
            pss, rss = (max(held(pid, kind) for pid in pids) for kind in KINDS)
            plan.say(f"{name}: {', '.join(f'{held(pid, KINDS[0]):.0f}' for pid in pids)} MB PSS")
            what = f"largest process of `{name}`, {rules:,} rules"
            yield outcome.most(f"{what}, PSS", "MB", pss, GOAL)
            yield outcome.most(f"{what}, RSS", "MB", rss, None)


def held(pid: int, kind: str) -> float:
    """Megabytes of one process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(rf"^{kind}: +(\d+) kB", text, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0
