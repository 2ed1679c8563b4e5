"""Random rules that the checker accepts, and random events that touch what they name."""

from hypothesis import strategies as st

from rules_dsl import literals, tree
from rules_dsl.source import Span
from rules_dsl.tree import Expression

HERE = Span(0, 0)
FIELDS = ["a", "b", "c", "items", "count", "type"]
WORDS = ["", "a", "A", "ab", "ß", "SS", "12", "1.0", "it's", 'say "hi"', "\\", "{", "é"]

names = st.sampled_from(["x", "y", "a"])
steps = st.one_of(
    st.sampled_from([*FIELDS, "in", "two words", "É"]), st.sampled_from([0, 1, -1, 7])
)


def number(written: str) -> tree.Literal:
    return tree.Literal(HERE, "number", literals.number(written), written)


def text(value: str) -> tree.Literal:
    return tree.Literal(HERE, "text", value, value)


def constant(value: bool) -> tree.Literal:
    return tree.Literal(HERE, "constant", value, "true" if value else "false")


numbers = st.sampled_from(
    [
        "0",
        "-0",
        "1",
        "2",
        "-1",
        "0.5",
        "1.0",
        "12",
        "1e300",
        "-1e300",
        "5m",
        "20%",
        "9007199254740993",
    ]
).map(number)
texts = st.sampled_from(WORDS).map(text)
constants = st.booleans().map(constant)
scalars = st.one_of(numbers, texts, constants)
literal_lists = st.lists(scalars, max_size=3).map(
    lambda items: tree.ListLiteral(HERE, tuple(items))
)


def paths(scope: tuple[str, ...]) -> st.SearchStrategy[Expression]:
    """Paths from the event, and from the names of quantifiers around."""
    rest = st.lists(steps, max_size=2).map(tuple)
    bare = st.tuples(st.sampled_from(FIELDS), rest).map(
        lambda pair: tree.Path(HERE, None, pair[0] in scope, (pair[0], *pair[1]))
    )
    whole = rest.map(lambda each: tree.Path(HERE, None, True, each))
    # `event` alone is known to be an object, which most operators refuse.
    written = whole.filter(lambda path: bool(path.steps))
    if not scope:
        return st.one_of(bare, written)
    inner = st.tuples(st.sampled_from(scope), rest).map(
        lambda pair: tree.Path(HERE, pair[0], False, pair[1])
    )
    return st.one_of(inner, bare, written)


def values(scope: tuple[str, ...], kind: str, depth: int) -> st.SearchStrategy[Expression]:
    """Values that are of a kind or may turn out to be."""
    plain = {"number": numbers, "text": texts, "boolean": constants}[kind]
    leaves = st.one_of(paths(scope), plain)
    if depth == 0:
        return leaves
    below = values(scope, kind, depth - 1)
    default = st.tuples(paths(scope), below).map(lambda pair: tree.Default(HERE, pair))
    return st.one_of(leaves, default, *_computed(scope, kind, depth - 1))


def _computed(scope: tuple[str, ...], kind: str, depth: int) -> list[st.SearchStrategy[Expression]]:
    number, string = values(scope, "number", depth), values(scope, "text", depth)
    if kind == "number":
        return [
            _chain(number, ["+", "-"]),
            _chain(number, ["*", "/", "%"]),
            number.filter(_turnable).map(lambda each: tree.Minus(HERE, each)),
            _call("abs", number), _call("round", number), _call("floor", number),
            _call("num", string), _call("len", string), _call("min", number, number, number),
        ]  # fmt: skip
    if kind == "text":
        return [_call("lower", string), _call("concat", string, string), _call("str", number)]
    return []


def _turnable(node: Expression) -> bool:
    """A written number takes the `-` into itself, so the parser never makes a Minus of one."""
    return not (isinstance(node, tree.Literal) and not node.written.startswith("-"))


def _chain(
    operand: st.SearchStrategy[Expression], signs: list[str]
) -> st.SearchStrategy[Expression]:
    pairs = st.lists(st.tuples(st.sampled_from(signs), operand), min_size=1, max_size=3)
    return st.tuples(operand, pairs).map(
        lambda made: tree.Arithmetic(
            HERE,
            (made[0], *(each for _, each in made[1])),
            tuple(sign for sign, _ in made[1]),
        )
    )


def _call(name: str, *arguments: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    return st.tuples(*arguments).map(lambda each: tree.Call(HERE, name, each))


def _comparison(
    operators: list[str], left: st.SearchStrategy[Expression], right: st.SearchStrategy[Expression]
) -> st.SearchStrategy[Expression]:
    return st.tuples(st.sampled_from(operators), left, right).map(
        lambda made: tree.Comparison(HERE, *made)
    )


def tests(scope: tuple[str, ...]) -> st.SearchStrategy[Expression]:
    """Conditions without logic."""
    number, string = values(scope, "number", 2), values(scope, "text", 2)
    path, whole = paths(scope), st.one_of(paths(scope), literal_lists)
    twins = ["contains", "icontains"]
    ends = ["startswith", "endswith", "istartswith", "iendswith"]
    patterns = st.sampled_from(["a", "^$", "(?i)A", "\\d+", "."]).map(text)
    presence = st.tuples(st.sampled_from(["exists", "missing", "is null", "is not null"]), path)
    return st.one_of(
        _comparison(["==", "!=", "<", "<=", ">", ">="], number, number),
        _comparison(["==", "!=", "<", ">="], string, string),
        _comparison(["==", "!="], path, constants),
        _comparison(["in", "not in"], path, whole),
        _comparison(["contains"], whole, path),
        _comparison([*twins, *ends], path, string),
        _comparison(["matches"], path, patterns),
        presence.map(lambda made: tree.Presence(HERE, *made)),
        path,
        constants,
    )


def conditions(scope: tuple[str, ...] = (), depth: int = 3) -> st.SearchStrategy[Expression]:
    """Conditions of every form."""
    if depth == 0:
        return tests(scope)
    below = conditions(scope, depth - 1)
    quantified = names.flatmap(lambda name: _quantifiers(scope, name, depth - 1))
    return st.one_of(tests(scope), quantified, *_joined(below))


def logic(depth: int) -> st.SearchStrategy[Expression]:
    """Conditions without quantifiers."""
    return tests(()) if depth == 0 else st.one_of(tests(()), *_joined(logic(depth - 1)))


def _joined(below: st.SearchStrategy[Expression]) -> list[st.SearchStrategy[Expression]]:
    several = st.lists(below, min_size=2, max_size=3).map(tuple)
    return [
        below.map(lambda each: tree.Not(HERE, each)),
        several.map(lambda each: tree.And(HERE, each)),
        several.map(lambda each: tree.Or(HERE, each)),
    ]


def _quantifiers(scope: tuple[str, ...], name: str, depth: int) -> st.SearchStrategy[Expression]:
    source = st.one_of(paths(scope), literal_lists)
    body = conditions((*scope, name), depth)
    kind = st.sampled_from(["any", "all", "none"])
    return st.tuples(kind, st.just(name), source, body).map(
        lambda made: tree.Quantifier(HERE, *made)
    )


hostile = st.sampled_from(
    [float("nan"), float("inf"), -float("inf"), 10**400, -(10**4000), 2**63, 1e308, "\ud800"]
)  # fmt: skip
atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([0, 1, 2, -1, 0.5, 1.0, 12, 300, 9007199254740993, -0.0]),
    st.sampled_from(WORDS),
    hostile,
)
json_values = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from([*FIELDS, "in", "two words"]), inner, max_size=4),
    ),
    max_leaves=12,
)
events = st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=6)
