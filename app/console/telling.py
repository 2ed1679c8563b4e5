"""Explanations as pages show them: a tree of clauses whose leaves say what was seen and what stood in the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rules_dsl import Explanation, Shortfall, tree
from rules_dsl.explanation import Seen

# Of one clause, and of all: where it is one of many, and where it is asked for.
MOST_CHILDREN: Final = 12
FEW_CLAUSES: Final = 40
MOST_CLAUSES: Final = 400
LONG: Final = 400
WORDS: Final[Mapping[bool | None, str]] = {True: "true", False: "false", None: "unknown"}


@dataclass(frozen=True)
class Clause:
    """One clause; `label` says in words how those below make its outcome, and `text` what it says otherwise."""

    outcome: str
    label: str
    text: str
    reason: str
    values: Sequence[Seen]
    element: int | None
    # How far a number was away; known of what stood in the way.
    away: str
    in_the_way: bool
    children: "Sequence[Clause]"
    # So many of them are not shown.
    omitted: int


def clauses(told: Explanation, short: Shortfall | None = None, most: int = MOST_CLAUSES) -> Clause:
    """The tree of an explanation, with the leaves marked that stood in the way; a very large one is cut."""
    return _Teller(short or Shortfall(()), most).clause(told)


def read(told: Mapping[str, Any]) -> Clause:
    """The tree of an explanation that was put down as JSON (`Explanation.to_dict`)."""
    children = told["children"][:MOST_CHILDREN]
    return Clause(
        outcome=WORDS[told["outcome"]],
        label="",
        text=_cut(told["text"]),
        reason=_cut(told["reason"] or ""),
        values=[Seen(each["text"], each["value"], each["kind"]) for each in told["values"]],
        element=told.get("element"),
        away="",
        in_the_way=False,
        children=[read(child) for child in children],
        omitted=len(told["children"]) - len(children),
    )


class _Teller:
    """One tree, and how much of it still fits."""

    def __init__(self, short: Shortfall, most: int) -> None:
        self.obstacles = {id(each.leaf) for each in short.obstacles}
        self.left = most

    def clause(self, told: Explanation) -> Clause:
        """A clause with those below."""
        self.left -= 1
        children = [self.clause(one) for one in _chosen(told) if self.left > 0]
        in_the_way = id(told) in self.obstacles
        label = _label(told) if children else ""
        return Clause(
            outcome=WORDS[told.outcome],
            label=label,
            text="" if label else _cut(told.text),
            reason=_cut(told.reason or ""),
            values=told.values,
            element=told.element,
            away=told.away or "" if in_the_way else "",
            in_the_way=in_the_way,
            children=children,
            omitted=len(told.children) - len(children),
        )


def _chosen(told: Explanation) -> Sequence[Explanation]:
    """Those below a clause that are shown; where not all are, what decided goes first."""
    if len(told.children) <= MOST_CHILDREN:
        return told.children
    decided_first = sorted(told.children, key=lambda one: one.outcome is not told.outcome)
    return decided_first[:MOST_CHILDREN]


def _label(told: Explanation) -> str:
    """What stands for a clause whose text is that of those below."""
    match told.node:
        case tree.And():
            return "all of"
        case tree.Or():
            return "one of"
        case tree.Not():
            return "not"
        case _:
            return ""


def _cut(text: str) -> str:
    return text if len(text) <= LONG else f"{text[:LONG]}…"
