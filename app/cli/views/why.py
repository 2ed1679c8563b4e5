"""An event and what rules made of it, for people: verdicts, clause by clause, and who heard of it."""

import json
from collections.abc import Iterable
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from app.cli.views.text import clock, mark, plain, put, values_of

_SIGNS: Final = {
    "fired": ("✓", "green"), "did_not_fire": ("✗", "red"), "failed": ("!", "red"),
    "pending": ("…", "yellow"), "given_up": ("!", "red"), "off": ("○", "dim"),
}  # fmt: skip
_OTHER: Final = ("–", "dim")
_MOST_ELEMENTS: Final = 8


def head(event: dict[str, Any]) -> Text:
    """The event in two lines."""
    text = Text()
    text.append(plain(event["type"]), style="bold")
    text.append(f"  {event['id']}\n", style="cyan")
    text.append(f"accepted {clock(event['accepted_at'])} UTC, {event['state']}", style="dim")
    if event["reason"]:
        text.append(f" ({plain(event['reason'])})", style="red")
    if event["replay_of"]:
        text.append(f"\nreplay of {event['replay_of']}", style="dim")
    return text


def verdict(why: dict[str, Any]) -> RenderableType:
    """A rule and what it made of the event, in a sentence."""
    sign, style = _SIGNS.get(why["answer"], _OTHER)
    text = Text()
    text.append(plain(why["rule"]), style="bold")
    if why["version"]:
        text.append(f" v{why['version']}", style="dim")
    text.append(f" {plain(why['summary'])}")
    return beside(Text(sign, style=style), text)


def beside(sign: Text, text: Text) -> RenderableType:
    """A sign, and a text beside it however many lines it takes."""
    text.overflow = "fold"
    both = Table.grid(padding=(0, 1, 0, 0))
    both.add_column(no_wrap=True)
    both.add_column(overflow="fold")
    both.add_row(sign, text)
    return both


def clauses(explanation: dict[str, Any]) -> RenderableType:
    """The tree of clauses, and the nearest miss."""
    tree = Tree(_clause(explanation), guide_style="dim")
    _grow(tree, explanation["children"])
    miss = explanation["nearest_miss"]
    if miss is None:
        return tree
    return Group(tree, Text(plain(miss["summary"]), style="yellow"))


def _grow(tree: Tree, children: list[dict[str, Any]]) -> None:
    for child in children[:_MOST_ELEMENTS]:
        _grow(tree.add(_clause(child)), child["children"])
    if len(children) > _MOST_ELEMENTS:
        tree.add(Text(f"… and {len(children) - _MOST_ELEMENTS} more", style="dim"))


def _clause(clause: dict[str, Any]) -> Text:
    text = mark(clause["outcome"])
    which = f"element {clause['element']}: " if "element" in clause else ""
    text.append(f" {which}{plain(clause['text'])}", style="default")
    because = values_of(clause)
    if because:
        text.append(f" · {because}", style="dim")
    return text


def heard(notifications: Iterable[dict[str, Any]]) -> Iterable[RenderableType]:
    """Each notification with its attempts and what the receivers answered."""
    for one in notifications:
        text = Text()
        text.append(plain(one["target"]), style="bold")
        reason = f" ({plain(one['reason'])})" if one["reason"] else ""
        text.append(f"  {one['status']}{reason}")
        yield beside(Text("→", style="bold"), text)
        for attempt in one["attempt_log"]:
            number = Text(f"  {attempt['number']}.", style="dim")
            yield beside(number, Text(_attempt(attempt), style="dim"))


def _attempt(one: dict[str, Any]) -> str:
    took = "" if one["latency_ms"] is None else f"  {one['latency_ms']} ms"
    answer = one["status_code"] or plain(one["detail"] or one["outcome"])
    said = f"  {plain(one['response'])[:60]}" if one["response"] else ""
    return f"{clock(one['started_at'], False)}  {answer}{took}{said}"


def held(suppressions: Iterable[dict[str, Any]]) -> Iterable[Text]:
    """What was held back, and why."""
    for one in suppressions:
        whom = plain(one["target"]) or "all targets"
        yield Text(f"⊘ {whom}  {plain(one['reason'])}", style="yellow")


def show_why(console: Console, why: dict[str, Any]) -> None:
    """One rule in full."""
    put(console, verdict(why))
    parts: list[RenderableType] = []
    if why["matched_at"]:
        parts.append(Text(f"decided {clock(why['matched_at'])} UTC", style="dim"))
    if why["explanation"]:
        parts.append(clauses(why["explanation"]))
    parts += [*heard(why["notifications"]), *held(why["suppressions"])]
    if why["alert"]:
        alert = why["alert"]
        said = f"alert {alert['id']}  {alert['state']}, {alert['count']} ×"
        parts.append(Text(said, style="dim"))
    put(console, *parts, indent=2)


def show_event(console: Console, trace: dict[str, Any]) -> None:
    """An event with all that it has caused."""
    put(console, head(trace["event"]))
    if trace["decided_at"]:
        put(console, Text(f"decided  {clock(trace['decided_at'])} UTC", style="dim"))
    body = json.dumps(trace["event"]["body"], ensure_ascii=False, indent=2)
    put(console, "", Text("\n".join(map(plain, body.split("\n")))), "", indent=2)
    decided = {one["rule_version_id"] for one in trace["decisions"]}
    for match in trace["matches"]:
        if match["rule_version_id"] not in decided:
            _show_match(console, match)
    for decision in trace["decisions"]:
        _show_decision(console, decision)
    for failure in trace["rule_errors"]:
        said = f"! {failure['rule_id']} could not be evaluated: {plain(failure['reason'])}"
        put(console, Text(said, style="red"))
    put(console, *heard(trace["notifications"]), *held(trace["suppressions"]))


def _show_match(console: Console, match: dict[str, Any]) -> None:
    text = Text()
    text.append(plain(match["rule"] or match["rule_id"]), style="bold")
    text.append(f" v{match['version']} fired at {clock(match['matched_at'], False)}", style="dim")
    put(console, beside(mark(True), text))
    if match["explanation"]:
        put(console, clauses(match["explanation"]), indent=2)


def _show_decision(console: Console, one: dict[str, Any]) -> None:
    text = Text()
    text.append(plain(one["rule"]), style="bold")
    how = "decided" if one["kind"] == "event" else one["kind"]
    text.append(f" v{one['version']} {how} at {clock(one['decided_at'], False)}", style="dim")
    because = one["held"] or one["reason"]
    if because:
        text.append(f"  {plain(because)}")
    put(console, beside(mark(one["outcome"]), text))
    if one["explanation"]:
        put(console, clauses(one["explanation"]), indent=2)
