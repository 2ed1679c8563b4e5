"""Many rules at once: which of them fire on an event, at a cost that hardly grows with their number.

**From a rule to clauses** (`clauses`). `not` is pushed to the leaves and `and` distributed over `or`,
up to a cap, so that a rule is true exactly when all predicates of one of its clauses are. A predicate
(`predicates`) compares a field with constants: one of some keys, between two bounds, a prefix, a
regex. Everything else, and what passes the cap, stays one compiled test.

**From a clause to its place** (`layout`, `node`). A clause stands in a tree of dicts: its equalities
(`==`, `in`, a boolean field) lead down, one dict a field, the fields of most rules first. Below
them its most selective other predicate leads to a sorted table: `ranges` bisects thresholds,
`intervals` cuts two-sided bounds into segments, `pairs` bisects thresholds on two fields, `prefixes`
has a dict per length and `patterns` one `re2.Set`. What the place does not prove is tested on the
survivors alone, and nothing at all if the place proves everything. A clause alone under its key is
kept without tables of its own.

**An event** reads each field that some table asks for, and collects the lists it falls on. False and
unknown need no difference here: only true fires. What is no JSON, no finite number or of another
type than the table falls on none; `True` and `1` are different keys, `1` and `1.0` the same.

**A rule with a quantifier** can spend its budget, which makes it unknown as a whole, so its survivors
are asked as a whole, in the order in which they are written.

**Threads** (`ruleset`). Writers take a lock and change the tables in place, a few lists a clause. They
count each change before and after it. A match reads without the lock; if the count was odd or
has moved it throws away what it collected, and reads once more under the lock. So it sees the rules
of one moment, and the tests on the survivors run outside the lock. This leans on the interpreter's
own lock, as Python's lists and dicts do.
"""

from rules_dsl.index.ruleset import RuleSet

__all__ = ["RuleSet"]
