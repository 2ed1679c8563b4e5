"""Ids as commands are given them: one by one, or as the lines of standard input."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from uuid import UUID

import click


def ids_of(given: Sequence[str], what: str) -> Iterator[str]:
    """The ids that are named; `-` stands for the lines of standard input."""
    for one in given:
        for text in sys.stdin if one == "-" else [one]:
            if text.strip():
                yield _id(text.strip(), what)


def _id(text: str, what: str) -> str:
    with suppress(ValueError):
        return str(UUID(text))
    raise click.BadParameter(f"{text!r} is no {what}'s id")
