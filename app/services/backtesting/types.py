"""Types: of which events alone a rule can be true or need to know, so that the others need not be read."""

from rules_dsl import Rule
from rules_dsl.memory import guard_of
from rules_dsl.tree import And, Comparison, Expression, ListLiteral, Literal, Or, Path

Types = frozenset[str]


def types_of(rule: Rule) -> Types | None:
    """The types that a rule asks for by `==` or `in`; None where it may be about any."""
    return _asked(guard_of(rule.tree) if rule.has_memory else rule.tree.condition)


def _asked(node: Expression) -> Types | None:
    match node:
        case And():
            known = [each for each in map(_asked, node.items) if each is not None]
            return frozenset.intersection(*known) if known else None
        case Or():
            parts = [_asked(item) for item in node.items]
            known = [each for each in parts if each is not None]
            return frozenset.union(*known) if len(known) == len(parts) else None
        case Comparison(operator="==", left=Path() as path, right=Literal() as literal):
            return _listed(path, (literal,))
        case Comparison(operator="==", left=Literal() as literal, right=Path() as path):
            return _listed(path, (literal,))
        case Comparison(operator="in", left=Path() as path, right=ListLiteral() as literals):
            return _listed(path, literals.items)
        case _:
            return None


def _listed(path: Path, literals: tuple[Literal, ...]) -> Types | None:
    if path.variable is not None or path.steps != ("type",):
        return None
    return frozenset(one.value for one in literals if isinstance(one.value, str))
