"""Completion of names that a server knows. Whatever goes wrong, there is just nothing to choose from."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import click
from click.shell_completion import CompletionItem

from app.cli.local.server import connect
from app.client import ApiError, Client

# Somebody waits with a finger on the key.
SECONDS: Final = 1.0
MOST: Final = 500

Choices = Callable[[click.Context, click.Parameter, str], list[CompletionItem[Any]]]


def _asked(ask: Callable[[Client], Iterable[str]]) -> Choices:
    def choices(
        _ctx: click.Context, _param: click.Parameter, begun: str
    ) -> list[CompletionItem[Any]]:
        try:
            names = list(ask(connect(seconds=SECONDS)))
        except (ApiError, click.UsageError):
            return []
        return [CompletionItem(name) for name in names if name.startswith(begun)]

    return choices


RULES: Final = _asked(lambda client: (rule.name for rule in client.rules(MOST)))
CHANNELS: Final = _asked(lambda client: (str(one["name"]) for one in client.channels()))
