"""What conditions cost: quantifiers multiply it, and pay for it in steps."""

from typing import Final

from rules_dsl import tree
from rules_dsl.tree import Expression, children

# Parts of a condition that are looked at for one step: so many take about as long as the rest of an element's turn.
_PARTS: Final = 16


def weight(node: Expression) -> int:
    """The steps that one look at a condition takes; what stands in a quantifier is paid for by its own elements."""
    parts, waiting = 0, [node]
    while waiting:
        each = waiting.pop()
        parts += 1 + len(each.steps) if isinstance(each, tree.Path) else 1
        waiting += [each.source] if isinstance(each, tree.Quantifier) else children(each)
    return 1 + parts // _PARTS
