"""Rules of ElastAlert and ElastAlert 2."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from app.cli.local.conversion import filters
from app.cli.local.conversion.conditions import (
    All,
    Node,
    Refused,
    Test,
    literal,
    one_of,
    path_of,
    span_of,
    written,
)
from app.cli.local.conversion.writing import Wish

# What ElastAlert does where a rule says nothing.
REALERT: Final = {"minutes": 1}


class _Read:
    """A rule, of which each setting is taken at most once; what is left over was not converted."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.left = dict(document)

    def take(self, name: str, otherwise: Any = None) -> Any:
        """A setting."""
        return self.left.pop(name, otherwise)

    def need(self, name: str) -> Any:
        """Likewise, one that this type of rule cannot be without."""
        if name not in self.left:
            raise Refused(f"there is no `{name}`")
        return self.left.pop(name)

    def span(self, name: str) -> str:
        """A time that is needed."""
        return span_of(_seconds(self.need(name)))


def convert(document: dict[str, Any], types: Sequence[Test]) -> list[Wish]:
    """What one rule wishes, for events that pass the tests `types`; raises `Refused`."""
    read = _Read(document)
    name, kind = str(read.need("name")), str(read.need("type"))
    if kind not in _TYPES:
        raise Refused(f"the type `{kind}`")
    parts: list[Node] = [*types, *filters.all_of(read.take("filter") or [])]
    keys = read.take("query_key") or []
    by = ", ".join(path_of(str(key)) for key in (keys if isinstance(keys, list) else [keys]))
    by = f" by {by}" if by else ""
    condition, is_timed = _TYPES[kind](read, parts, by)
    enabled = read.take("is_enabled", True)
    # What is absent is told of once, and not again and again.
    realert = 0.0 if is_timed else _seconds(read.take("realert", REALERT))
    rest = sorted(read.left.keys() - {"description"})
    wish = Wish(
        name=name,
        condition=condition,
        clauses=[f"throttle 1 per {span_of(realert)}{by}"] if realert else [],
        description=str(read.take("description") or ""),
        off=not enabled,
        notes=[f"not converted: {', '.join(rest)}"] if rest else [],
    )
    return [wish]


def _seconds(span: Any) -> float:
    try:
        return timedelta(**span).total_seconds()
    except TypeError:
        raise Refused(f"the time {span!r}") from None


def _all(parts: Sequence[Node]) -> str:
    if not parts:
        raise Refused("there is no filter: say which events by --type")
    return written(All(parts))


def _any(read: _Read, parts: list[Node], by: str) -> tuple[str, bool]:
    return _all(parts), False


def _frequency(read: _Read, parts: list[Node], by: str) -> tuple[str, bool]:
    count, span = int(read.need("num_events")), read.span("timeframe")
    return f"{_all(parts)} and count() over {span}{by} >= {count}", False


def _cardinality(read: _Read, parts: list[Node], by: str) -> tuple[str, bool]:
    if "min_cardinality" in read.left:
        raise Refused("`min_cardinality`: too few different values")
    path, span = path_of(str(read.need("cardinality_field"))), read.span("timeframe")
    most = int(read.need("max_cardinality"))
    return f"{_all(parts)} and distinct({path}) over {span}{by} > {most}", False


def _flatline(read: _Read, parts: list[Node], by: str) -> tuple[str, bool]:
    if (threshold := int(read.need("threshold"))) != 1:
        raise Refused(f"a `threshold` of {threshold}: `absent` tells of none, and not of few")
    return f"absent({_all(parts)}) for {read.span('timeframe')}{by}", True


def _blacklist(read: _Read, parts: list[Node], by: str) -> tuple[str, bool]:
    path, values = path_of(str(read.need("compare_key"))), _values(read.need("blacklist"))
    return written(All([*parts, one_of(path, path, values)])), False


def _whitelist(read: _Read, parts: list[Node], by: str) -> tuple[str, bool]:
    path, values = path_of(str(read.need("compare_key"))), _values(read.need("whitelist"))
    if "ignore_null" not in read.left:
        raise Refused("there is no `ignore_null`")
    other = f"{path} not in [{', '.join(values)}]"
    if not read.take("ignore_null"):
        other = f"({path} is null or {other})"
    return written(All([*parts, Test(path, other)])), False


def _values(listed: Any) -> list[str]:
    found = listed if isinstance(listed, list) else [listed]
    if not found or any(str(value).startswith("!") for value in found):
        raise Refused("a list in a file of its own: write its values into the rule")
    return [literal(value) for value in found]


# Each with its condition, and whether time alone makes it true.
_TYPES: Final[dict[str, Callable[[_Read, list[Node], str], tuple[str, bool]]]] = {
    "any": _any,
    "frequency": _frequency,
    "cardinality": _cardinality,
    "flatline": _flatline,
    "blacklist": _blacklist,
    "whitelist": _whitelist,
}
