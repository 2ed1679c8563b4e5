"""The typed tree of a rule: what the parser builds and every later phase reads.

Spans do not take part in equality, so that a rule and its formatted twin are equal.
"""

from dataclasses import dataclass, field
from typing import Literal as Choice
from typing import TypeAlias

from rules_dsl.source import Span

Scalar: TypeAlias = bool | int | float | str | None
Form: TypeAlias = Choice["number", "text", "constant"]


@dataclass(frozen=True, slots=True)
class Node:
    """Anything that has a place in the text."""

    span: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A number, text, boolean or null; a number keeps its spelling, `5m` and `20%` too."""

    form: Form
    value: Scalar
    written: str = field(compare=False)


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    """A list of literals."""

    items: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class Path(Node):
    """Steps from the event, or from a quantifier's variable."""

    variable: str | None
    explicit: bool  # whether `event` was written, which the formatter keeps
    steps: tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Default(Node):
    """`a ?? b ?? c`: the first that is neither missing nor null."""

    operands: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """A chain of operators of one precedence, so that a long sum is one level deep."""

    operands: "tuple[Expression, ...]"
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Minus(Node):
    """A number turned round."""

    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function and its arguments."""

    name: str
    arguments: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """Two values and the operator between them; `not in` is one of the operators."""

    operator: str
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Presence(Node):
    """`exists`, `missing`, `is null` and `is not null`: never unknown."""

    kind: str
    path: "Expression"


@dataclass(frozen=True, slots=True)
class Quantifier(Node):
    """Several tests on the same element of a list."""

    kind: str
    name: str
    source: "Expression"
    body: "Expression"


@dataclass(frozen=True, slots=True)
class Not(Node):
    """Kleene's `not`."""

    operand: "Expression"


@dataclass(frozen=True, slots=True)
class And(Node):
    """Kleene's `and` of two or more."""

    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Or(Node):
    """Kleene's `or` of two or more."""

    items: "tuple[Expression, ...]"


@dataclass(frozen=True, slots=True)
class Window(Node):
    """`count(status >= 500) over 5m offset 1h by host`: what the events of a time come to."""

    function: str
    value: "Expression | None"  # of `count` it is a condition
    where: "Expression | None"
    over: Literal
    offset: Literal | None
    by: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Absence(Node):
    """`absent(type == "heartbeat") for 10m by host expect ["a"]`."""

    body: "Expression"
    span_for: Literal
    by: tuple[Path, ...]
    expect: ListLiteral | None


@dataclass(frozen=True, slots=True)
class Step(Node):
    """One step of a sequence: its name, its condition, and how often; one without a name is a `not`."""

    name: str | None
    condition: "Expression"
    times: int


@dataclass(frozen=True, slots=True)
class Sequence(Node):
    """`seq(a: … x5 -> b: …) within 10m by user.id`."""

    steps: tuple[Step, ...]
    within: Literal
    by: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Held(Node):
    """A whole condition that must be true all through: `… for 5m by host`."""

    body: "Expression"
    span_for: Literal
    by: tuple[Path, ...]


Value: TypeAlias = Literal | ListLiteral | Path | Default | Arithmetic | Minus | Call | Window
Condition: TypeAlias = (
    Comparison | Presence | Quantifier | Not | And | Or | Absence | Sequence | Step | Held
)
Expression: TypeAlias = Value | Condition
CONDITIONS = (Comparison, Presence, Quantifier, Not, And, Or, Absence, Sequence, Step, Held)
STATEFUL = (Window, Absence, Sequence, Held)


@dataclass(frozen=True, slots=True)
class Throttle(Node):
    """`throttle 3 per 10m by user.id`."""

    count: Literal
    per: Literal
    by: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Group(Node):
    """`group 30s by region`."""

    span_for: Literal
    by: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class During(Node):
    """`during weekdays 09:00-18:00 "Europe/Berlin" otherwise hold`; times are minutes of the day."""

    days: tuple[str, ...]
    begin: int
    end: int
    zone: Literal
    otherwise: Choice["hold", "drop"]


@dataclass(frozen=True, slots=True)
class Unless(Node):
    """`unless open("db-down") by region`."""

    rule: Literal
    by: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class ResolveWhen(Node):
    """`resolve when status == "ok"`."""

    condition: "Expression"
    by: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class ResolveAfter(Node):
    """`resolve after 1h`."""

    span_for: Literal
    by: tuple[Path, ...]


# In the order in which the formatter writes them.
Clause: TypeAlias = Throttle | Group | During | Unless | ResolveWhen | ResolveAfter
CLAUSES = (Throttle, Group, During, Unless, ResolveWhen, ResolveAfter)


@dataclass(frozen=True, slots=True)
class Target(Node):
    """Who hears about a match: a kind of channel and an address of that kind."""

    kind: str
    address: str
    resolved: bool
    line: int = field(compare=False)
    column: int = field(compare=False)

    def __str__(self) -> str:
        return f"{self.kind}:{self.address}"


@dataclass(frozen=True, slots=True)
class Notify(Node):
    """One `notify(…)` with its targets."""

    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Message(Node):
    """A text with values in it: plain pieces and expressions, in their order."""

    parts: "tuple[str | Expression, ...]"


@dataclass(frozen=True, slots=True)
class Sentence(Node):
    """A whole rule."""

    name: str | None
    condition: Expression
    notifies: tuple[Notify, ...]
    severity: str | None
    message: Message | None
    comments: tuple[str, ...]
    clauses: tuple[Clause, ...] = ()


def children(node: Expression) -> "tuple[Expression, ...]":
    """The expressions directly below one."""
    match node:
        case Default() | Arithmetic():
            return node.operands
        case Call():
            return node.arguments
        case Minus() | Not():
            return (node.operand,)
        case Comparison():
            return (node.left, node.right)
        case Presence():
            return (node.path,)
        case Quantifier():
            return (node.source, node.body)
        case And() | Or():
            return node.items
        case Window():
            return (*(each for each in (node.value, node.where) if each), *node.by)
        case Absence() | Held():
            return (node.body, *node.by)
        case Sequence():
            return (*node.steps, *node.by)
        case Step():
            return (node.condition,)
        case _:
            return ()


def conjuncts(node: Expression) -> "tuple[Expression, ...]":
    """What the outermost `and`s join."""
    if isinstance(node, And):
        return tuple(each for item in node.items for each in conjuncts(item))
    return (node,)
