"""The routes of an Alertmanager, as rules on the alerts that Prometheus sends here.

A route hears of an alert that it and all above it match, unless an earlier one beside them keeps it, or one of its own
routes takes it. So each becomes a rule of its own, whose condition says all of that.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.cli.local.conversion.conditions import (
    All,
    Node,
    Not,
    Refused,
    Test,
    literal,
    path_of,
    written,
)
from app.cli.local.conversion.writing import Wish

FIRING: Final = Test("type", 'type == "prometheus.alert.firing"')
# What a receiver has, and the kind of channel here; Slack and email name their places themselves.
_KINDS: Final = {
    "webhook_configs": "webhook",
    "pagerduty_configs": "pagerduty",
    "discord_configs": "discord",
    "msteamsv2_configs": "teams",
    "telegram_configs": "telegram",
}
_CONVERTED: Final = {"receiver", "continue", "routes", "match", "match_re", "matchers"}
_MATCHER: Final = re.compile(
    r"""\s*"?(\w+)"?\s*(=~|!~|!=|=)\s*("(?:\\.|[^"\\])*"|[^",{}]*?)\s*(?:,|$)"""
)


def convert(document: dict[str, Any], types: Sequence[Test]) -> list[Wish]:
    """What each route wishes; raises `Refused`."""
    if not isinstance(document.get("route"), dict):
        raise Refused("there is no `route`")
    receivers = {str(one["name"]): one for one in document.get("receivers") or []}
    rest = sorted(document.keys() - {"route", "receivers"})
    wishes = list(_Tree(receivers).walk(document["route"], list(types) or [FIRING], "", ""))
    if rest:
        wishes[0].notes.insert(0, f"not converted: {', '.join(rest)}")
    return wishes


class _Tree:
    """The routes under the receivers of one document."""

    def __init__(self, receivers: Mapping[str, Any]) -> None:
        self._receivers = receivers

    def walk(self, route: Any, above: Sequence[Node], place: str, receiver: str) -> Iterator[Wish]:
        """The rules of a route and of those below it."""
        if not isinstance(route, dict):
            raise Refused(f"the route {route!r}")
        here = [*above, *_matchers(route)]
        below = route.get("routes") or []
        receiver = str(route.get("receiver") or receiver)
        others = [Not(All(_matchers(one))) for one in below if _matchers(one)]
        # A route without matchers takes all that comes to it.
        if len(others) == len(below):
            yield self._wish(place, [*here, *others], receiver, route)
        kept: list[Node] = []
        for number, one in enumerate(below, 1):
            yield from self.walk(one, [*here, *kept], f"{place}.{number}".strip("."), receiver)
            if not one.get("continue"):
                if not _matchers(one):
                    break
                kept.append(Not(All(_matchers(one))))

    def _wish(self, place: str, parts: Sequence[Node], name: str, route: Mapping[str, Any]) -> Wish:
        if name not in self._receivers:
            raise Refused(f"there is no receiver `{name}`")
        targets, notes = _targets(self._receivers[name])
        if is_silent := not targets and not notes:
            notes.append(f"the receiver {name} tells nobody")
        rest = sorted(route.keys() - _CONVERTED)
        return Wish(
            name=f"Route {place} to {name}" if place else f"Route to {name}",
            condition=written(All(parts)),
            targets=targets,
            off=is_silent,
            notes=[*notes, *([f"not converted: {', '.join(rest)}"] if rest else [])],
        )


def _matchers(route: Mapping[str, Any]) -> list[Node]:
    found = route.get("matchers") or []
    texts = found if isinstance(found, list) else [str(found)]
    said = [each for text in texts for each in _parsed(str(text))]
    said += [(str(key), "=", str(value)) for key, value in (route.get("match") or {}).items()]
    said += [(str(key), "=~", str(value)) for key, value in (route.get("match_re") or {}).items()]
    return [_test(*each) for each in said]


def _parsed(text: str) -> Iterator[tuple[str, str, str]]:
    """Each matcher of a text, which may have several in braces."""
    inner = text.strip().removeprefix("{").removesuffix("}")
    at = 0
    while at < len(inner):
        found = _MATCHER.match(inner, at)
        if found is None or found.end() == at:
            raise Refused(f"the matcher `{text}`")
        name, operator, value = found.groups()
        if value.startswith('"'):
            value = re.sub(r"\\(.)", lambda one: "\n" if one[1] == "n" else one[1], value[1:-1])
        yield name, operator, value
        at = found.end()


def _test(label: str, operator: str, value: str) -> Node:
    """One matcher; a label that is not there is an empty text, as in Alertmanager."""
    path = path_of(f"labels.{label}")
    if "~" in operator:
        anchored = literal(f"^(?:{value})$")
        test = Test(path, f'({path} ?? "") matches {anchored}', total=True)
    elif value:
        test = Test(path, f"{path} == {literal(value)}")
    else:
        test = Test(path, f'({path} ?? "") == ""', total=True)
    return Not(test) if operator.startswith("!") else test


def _targets(receiver: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Whom a receiver tells, and what is to be done or known about it."""
    targets, notes = [], []
    for kind, configs in sorted(receiver.items()):
        if kind == "name":
            continue
        for config in configs or []:
            target = _target(kind, config, str(receiver["name"]))
            if target is None:
                notes.append(f"not converted: {kind} of the receiver {receiver['name']}")
            elif target not in targets:
                targets.append(target)
                if kind in _KINDS:
                    notes.append(f"make the channel {target} first")
    return targets, notes


def _target(kind: str, config: Mapping[str, Any], name: str) -> str | None:
    if kind == "slack_configs":
        channel = str(config.get("channel") or "")
        return f"slack:{channel}" if channel.startswith(("#", "@")) else None
    if kind == "email_configs":
        to = str(config.get("to") or "")
        return f"email:{to}" if "@" in to and "," not in to else None
    return f"{_KINDS[kind]}:{name}" if kind in _KINDS else None
