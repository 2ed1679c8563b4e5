"""The filters of Elasticsearch's query language, as far as they test fields."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from app.cli.local.conversion import lucene
from app.cli.local.conversion.conditions import (
    All,
    Either,
    Node,
    Not,
    Refused,
    Test,
    literal,
    one_of,
    path_of,
)

_ORDERS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def condition_of(found: Any) -> Node:
    """The condition that one filter is; raises `Refused`."""
    if not isinstance(found, Mapping) or len(found) != 1:
        raise Refused(f"the filter {found!r}")
    [(kind, said)] = found.items()
    if kind not in _KINDS:
        raise Refused(f"a filter `{kind}`")
    return _KINDS[kind](said)


def all_of(filters: Any) -> list[Node]:
    """The conditions of a list of filters, or of one."""
    return [condition_of(one) for one in (filters if isinstance(filters, list) else [filters])]


def _field(said: Any) -> tuple[str, Any]:
    if not isinstance(said, Mapping) or len(said) != 1:
        raise Refused(f"the filter {said!r}, which is not of one field")
    [(name, value)] = said.items()
    return path_of(str(name)), value


def _term(said: Any) -> Node:
    path, value = _field(said)
    value = value.get("value") if isinstance(value, Mapping) else value
    return one_of(path, path, [literal(value)])


def _terms(said: Any) -> Node:
    path, values = _field(said)
    if not isinstance(values, list) or not values:
        raise Refused("a filter `terms` without a list")
    return one_of(path, path, [literal(value) for value in values])


def _range(said: Any) -> Node:
    path, bounds = _field(said)
    parts = []
    for name, value in bounds.items() if isinstance(bounds, Mapping) else ():
        if name not in _ORDERS or isinstance(value, bool) or not isinstance(value, int | float):
            raise Refused(f"a filter `range` with {name}: {value!r}, which is no number")
        parts.append(Test(path, f"{path} {_ORDERS[name]} {literal(value)}"))
    if not parts:
        raise Refused("a filter `range` without bounds")
    return All(parts)


def _exists(said: Any) -> Node:
    path = path_of(str(said["field"]))
    return Test(path, f"{path} is not null", total=True)


def _prefix(said: Any) -> Node:
    path, value = _field(said)
    value = value.get("value") if isinstance(value, Mapping) else value
    return Test(path, f"{path} startswith {literal(str(value))}")


def _wildcard(said: Any) -> Node:
    path, value = _field(said)
    value = value.get("value") if isinstance(value, Mapping) else value
    return lucene.word_test(path, str(value))


def _query_string(said: Any) -> Node:
    if not isinstance(said, Mapping) or said.keys() != {"query"}:
        raise Refused(f"a query string with more than a query: {said!r}")
    return lucene.condition_of(str(said["query"]))


def _bool(said: Any) -> Node:
    if not isinstance(said, Mapping) or said.keys() - {"must", "filter", "must_not", "should"}:
        raise Refused(f"a filter `bool` of {said!r}")
    parts = [part for name in ("must", "filter") for part in all_of(said.get(name, []))]
    if parts and "should" in said:
        raise Refused("a filter `bool` whose `should` stands beside a `must` and decides nothing")
    if "should" in said:
        parts.append(Either(all_of(said["should"])))
    parts += [Not(part) for part in all_of(said.get("must_not", []))]
    if not parts:
        raise Refused("an empty filter `bool`")
    return All(parts)


_KINDS: Final[Mapping[str, Callable[[Any], Node]]] = {
    "term": _term, "terms": _terms, "range": _range, "exists": _exists, "prefix": _prefix, "wildcard": _wildcard,
    "query_string": _query_string, "query": condition_of, "bool": _bool,
    "not": lambda said: Not(condition_of(said)),
    "and": lambda said: All(all_of(said)), "or": lambda said: Either(all_of(said)),
}  # fmt: skip
