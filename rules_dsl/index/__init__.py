"""Many rules at once: which of them fire on an event, at a cost that hardly grows with their number.

**From a rule to clauses** (`clauses`). `not` is pushed to the leaves and `and` distributed over `or`,
up to a cap, so that a rule is true exactly when all predicates of one of its clauses are. A predicate
(`predicates`) compares a field with constants: one of some keys, between two bounds, a prefix, a
regex. Everything else, and what passes the cap, stays one compiled test.

**From a clause to its place** (`layout`, `node`). A clause stands in a tree of dicts: its equalities
(`==`, `in`, a boolean field) lead down (`keys`), one dict a field, the fields of most rules first. Below
them its most selective other predicate leads to a sorted table (`tables`): `thresholds` bisects bounds,
`intervals` cuts two-sided ones into segments, `pairs` bisects thresholds on two fields, `prefixes`
has a dict per length and `patterns` one `re2.Set`. What the place does not prove is tested on the
survivors alone, and nothing at all if the place proves everything. A few clauses under a key stay a
list without tables of their own.

**An event** reads each field that some table asks for, and collects what it falls on. False and
unknown need no difference here: only true fires. What is no JSON, no finite number or of another
type than the table falls on none; `True` and `1` are different keys, `1` and `1.0` the same.

**Two ways, one outcome** (`programs`, `candidates`). Each table, and each test of a survivor, has a method,
and can write the same as source. A node that was asked often gets one function with all its tables
written out; it depends on which tables there are and not on what they hold, so that nodes of the same
tables share it, and adding a rule to a table leaves it alone. Tests get theirs by their shape, without
the constants. A match writes them, never a change.

**A rule with a quantifier** can spend its budget, which makes it unknown as a whole, so its survivors
are asked as a whole, in the order in which they are written. Such tests, and regexes that lead to no
table, wait until all else is known.

**Threads** (`index`). Writers take a lock and change the tables in place, a few lists a clause. They
count each change before and after it. A match reads without the lock; if the count was odd or
has moved it throws away what it collected, and reads once more under the lock. So it sees the rules
of one moment, and all but plain comparisons run outside the lock. This leans on the interpreter's
own lock, as Python's lists and dicts do.

**Rules with memory** (`ruleset`) stand in a second index of the same kind, by a guard on single events, which
costs nothing where there are none.
"""

from rules_dsl.index.ruleset import RuleSet

__all__ = ["RuleSet"]
