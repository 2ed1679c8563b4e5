"""A list of events, one a line."""

import json
from typing import Any

from rich.text import Text

from app.cli.views.text import clock, console, plain


def show_list(events: list[dict[str, Any]]) -> None:
    """One line each, cut at the width of the terminal."""
    screen = console()
    for one in events:
        screen.print(line(one), no_wrap=True, overflow="ellipsis", crop=True)


def line(event: dict[str, Any]) -> Text:
    """The id, when, the type, the state unless it is the usual one, and what else it says."""
    text = Text(event["id"], style="cyan")
    text.append(f" {clock(event['accepted_at'], False)}", style="dim")
    text.append(f" {plain(event['type'])}", style="bold")
    if event["state"] != "evaluated":
        text.append(f" {event['state']}", style="yellow")
    if event["replay_of"]:
        text.append(" replay", style="yellow")
    rest = {name: value for name, value in event["body"].items() if name != "type"}
    text.append(" " + plain(json.dumps(rest, ensure_ascii=False, separators=(", ", ": "))))
    return text
