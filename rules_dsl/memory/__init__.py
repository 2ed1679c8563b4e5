"""Rules with memory: windows, `absent`, `seq`, `for`, and the clauses after `then`.

**A plan** (`plan`) is what a rule asks of its memory. **A machine** (`machine`) decides on events by it, and
on times that have come; it keeps nothing itself. **A state** (`state`) is what is remembered of one rule
under one key; the caller keeps it, in a dict or in a database, and hands it in. **A decision**
(`decisions`) is what came of it: the outcome with the recorded values, what becomes of the alert, and
whether somebody is notified.

Conditions (`conditions`) go by the time of events: `windows` over `log`s, `sequence`s, `for` and `absent`.
Clauses (`rounds`) go by the time of the decision.
"""

from rules_dsl.memory.decisions import LATE, SEEN, Address, Decision, Occurrence, Verdict
from rules_dsl.memory.machine import Limits, Machine, nothing_open, nothing_quiet
from rules_dsl.memory.plan import guard_of
from rules_dsl.memory.rounds import Round
from rules_dsl.memory.state import Cause, State
from rules_dsl.memory.states import MemoryStates

__all__ = [
    "LATE",
    "SEEN",
    "Address",
    "Cause",
    "Decision",
    "Limits",
    "Machine",
    "MemoryStates",
    "Occurrence",
    "Round",
    "State",
    "Verdict",
    "guard_of",
    "nothing_open",
    "nothing_quiet",
]
