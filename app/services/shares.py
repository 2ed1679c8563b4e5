"""Shares of what was judged together: workers that decide under the same keys take turns at each, not at the whole.

A batch of some hundred events has keys in common with any other. Parted by lanes, which are ranges of the locks of
states, one worker decides on one share while another does on the next; each share is a transaction of its own, and
events of one key stay in one share, in their order. Whose lane is free is only a hint: the locks of states keep order.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.config import Memory
from app.services import states
from app.services.claims import Claim
from app.services.deciding import can_be_held
from app.services.machines import machine_of
from app.services.matching import Judgement
from rules_dsl.memory import Machine
from rules_dsl.memory.decisions import Address

LANES: Final = 2
# With fewer a transaction more costs what it saves.
LEAST: Final = 100
# Any constant will do, so long as no other pair of advisory locks has it.
_LOCKS: Final = 0x53454E4F
# Of a judgement that is in one piece.
WHOLE: Final = -1
_FREE: Final = text("""
    SELECT lane FROM unnest(CAST(:lanes AS int[])) lane WHERE pg_try_advisory_xact_lock(:locks, lane) LIMIT 1
""")
_WAIT: Final = text("SELECT pg_advisory_xact_lock(:locks, :lane)")


@dataclass(frozen=True)
class Share:
    """What is recorded in one transaction."""

    held: list[Claim]
    judgement: Judgement


def part(held: Sequence[Claim], judgement: Judgement, memory: Memory) -> dict[int, Share]:
    """The shares of a judgement, by their lanes: one alone, where there is little to decide or where keys cross."""
    lanes = _lanes(judgement, memory) if judgement.decisions >= LEAST else {}
    first, *others = sorted(set(lanes.values())) or [WHOLE]
    if not others:
        return {WHOLE: Share(list(held), judgement)}
    # What concerns no rule with memory, what was left and what has gone goes with the first.
    shares = {lane: Share([], Judgement()) for lane in (first, *others)}
    shares[first].judgement.left = judgement.left
    # By numbers: to hash an id costs five times as much.
    by_id: dict[int, int] = {}
    for event in judgement.judged:
        lane = by_id[event.id.int] = lanes.get(id(event), first)
        shares[lane].judgement.judged.append(event)
    for claim in held:
        shares[by_id.get(claim.event_id.int, first)].held.append(claim)
    for concern in judgement.concerns:
        mine = shares[lanes.get(id(concern.event), first)].judgement
        mine.concerns.append(concern)
        mine.decisions += len(concern.rules)
    for match in judgement.found:
        shares[by_id[match.about.int]].judgement.found.append(match)
    for failure in judgement.failed_rules:
        shares[by_id[failure.event.id.int]].judgement.failed_rules.append(failure)
    for key, reason in judgement.failed.items():
        shares[by_id[key.int]].judgement.failed[key] = reason
    return shares


def take(session: Session, lanes: Collection[int]) -> int:
    """The lane whose turn it is, held until the commit: one that is free, or else the first."""
    if WHOLE in lanes:
        return WHOLE
    free = session.execute(_FREE, {"lanes": sorted(lanes), "locks": _LOCKS}).scalar()
    if free is not None:
        return int(free)
    lane = min(lanes)
    session.execute(_WAIT, {"locks": _LOCKS, "lane": lane})
    return lane


def _lanes(judgement: Judgement, memory: Memory) -> dict[int, int]:
    """The lane of each event that rules remember, by its identity; none where it is in two, or rules look at others."""
    machines: dict[int, Machine] = {}
    lanes: dict[int, int] = {}
    for event, rules, occurrence in judgement.concerns:
        last: Address | None = None
        for rule in rules:
            machine = machines.get(id(rule))
            if machine is None:
                machine = machines[id(rule)] = machine_of(rule, memory)
                if can_be_held(machine):
                    return {}
            address = machine.address(occurrence)
            # An event keeps the address that many rules ask it for.
            if address is None or (address is last and not machine.plan.scopes):
                continue
            last = None if machine.plan.scopes else address
            bucket = states.bucket_of(machine, rule.memory_id, address)
            lane = bucket * LANES // states.BUCKETS
            if lanes.setdefault(id(event), lane) != lane:
                return {}
    return lanes
