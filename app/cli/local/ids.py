"""Ids as commands are given them: one by one, or as the lines of standard input."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from uuid import UUID

import click


def ids_of(given: Sequence[str], what: str) -> Iterator[str]:
    """The ids that are named; `-` stands for the lines of standard input."""
    for one in given:
        for line in sys.stdin if one == "-" else [one]:
            # Some programs write a mark before the first letter, which nobody sees.
            if text := line.strip().lstrip("\ufeff"):
                yield _id(text, what)


def _id(text: str, what: str) -> str:
    with suppress(ValueError):
        return str(UUID(text))
    raise click.BadParameter(f"{text!r} is no {what}'s id")
