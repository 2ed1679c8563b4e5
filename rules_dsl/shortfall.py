"""The shortfall: the fewest leaves that stood between a condition and being true, in a few words."""

from dataclasses import dataclass, replace
from typing import Final

from rules_dsl import tree
from rules_dsl.explanation import Explanation
from rules_dsl.format import format_expression
from rules_dsl.reasons import BUDGET, UNASKED

_SHOWN: Final = 3
_WORDS: Final = {True: "true", False: "false"}
_INVERSE: Final = {
    "==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">",
    "in": "not in", "not in": "in",
}  # fmt: skip
# A literal beside these says by itself what was needed.
_PLAIN: Final = (tree.Literal, tree.ListLiteral)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A leaf that would have to come out otherwise."""

    leaf: Explanation
    needed: bool
    element: int | None = None  # which one of the list that it is about

    def __str__(self) -> str:
        node, seen = self.leaf.node, ", ".join(map(str, self.leaf.values))
        which = "" if self.element is None else f"element {self.element}: "
        if isinstance(node, tree.Comparison) and isinstance(node.right, _PLAIN):
            inverse = _INVERSE.get(node.operator, f"not {node.operator}")
            operator = node.operator if self.needed else inverse
            because = self.leaf.reason or seen or format_expression(node.left)
            return f"{which}{because}, needed {operator} {format_expression(node.right)}"
        because = self.leaf.reason or seen
        tail = f" ({because})" if because else ""
        return f"{which}{self.leaf.text} had to be {_WORDS[self.needed]}{tail}"

    def to_dict(self) -> dict[str, object]:
        """The obstacle as JSON."""
        return {"text": self.leaf.text, "needed": self.needed, "summary": str(self)}


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What stood in the way; of several ways to be true the nearest."""

    obstacles: tuple[Obstacle, ...]

    @property
    def nearness(self) -> tuple[int, float]:
        """What to rank by, the nearest first: how many leaves, and how far they are away."""
        return len(self.obstacles), sum(each.leaf.rank for each in self.obstacles)

    def __str__(self) -> str:
        shown = "; ".join(map(str, self.obstacles[:_SHOWN]))
        more = len(self.obstacles) - _SHOWN
        return f"{shown}; and {more} more" if more > 0 else shown


def shortfall(explained: Explanation) -> Shortfall:
    """What stood between an explained condition and being true; nothing where it was."""
    return _between(explained, True)


def _between(explained: Explanation, wanted: bool) -> Shortfall:
    found = _below(explained, wanted)
    if explained.element is None:
        return found
    named = (
        each if each.element is not None else replace(each, element=explained.element)
        for each in found.obstacles
    )
    return Shortfall(tuple(named))


def _below(explained: Explanation, wanted: bool) -> Shortfall:
    if explained.outcome is wanted:
        return Shortfall(())
    if explained.reason == BUDGET or not explained.children:
        return Shortfall((Obstacle(explained, wanted),))
    match explained.node:
        case tree.Not():
            return _between(explained.children[0], not wanted)
        case tree.And():
            return _joined(explained, wanted, decisive=False)
        case tree.Or():
            return _joined(explained, wanted, decisive=True)
        case tree.Quantifier(kind=kind) if explained.complete:
            turned = wanted if kind != "none" else not wanted
            return _joined(explained, turned, decisive=kind != "all")
        case tree.Held() | tree.Absence() if explained.children[0].outcome is not True:
            return _between(explained.children[0], True)
        case _:
            return Shortfall((Obstacle(explained, wanted),))


def _joined(explained: Explanation, wanted: bool, decisive: bool) -> Shortfall:
    """The nearest child, if one suffices; else all of them."""
    ways = [_between(child, wanted) for child in explained.children]
    if wanted is decisive:
        return min(ways, key=lambda way: way.nearness)
    obstacles = [each for way in ways for each in way.obstacles]
    # What was not asked is not known to stand in the way, as long as something else does.
    asked = [each for each in obstacles if each.leaf.reason != UNASKED]
    return Shortfall(tuple(asked or obstacles))
