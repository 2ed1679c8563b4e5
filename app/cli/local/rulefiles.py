"""Files of rules, as commands are given them: paths, folders, and `-` for what comes in."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import click

from rules_dsl import FileRule, RuleError, compile_rule, read_rules_file
from rules_dsl.file import without_last_comments
from rules_dsl.format import format_file_rule
from rules_dsl.head import Lines
from rules_dsl.source import line_and_column

P = ParamSpec("P")
T = TypeVar("T")
STDIN: Final = "-"
# Some editors write a mark before the first letter, which nobody sees.
UTF_8: Final = "utf-8-sig"
FILES = click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, allow_dash=True)
)


@dataclass(frozen=True)
class Loaded:
    """A rule, and the file that holds it."""

    path: str
    text: str
    found: FileRule

    def line(self, offset: int) -> int:
        """The line of an offset in the file."""
        return line_and_column(self.text, offset)[0]


class BadFiles(Exception):
    """Files that are not to be taken, with all that is wrong with them."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n\n".join(mistakes))


def load(paths: Sequence[str]) -> list[Loaded]:
    """All rules of some files; ends the command with the mistakes of all of them."""
    return _or_end(read, paths)


def load_text(path: str, text: str) -> list[Loaded]:
    """Likewise, of one file that was read already."""
    return _or_end(_rules_of, [(path, text)], [])


def load_whole(path: str) -> str:
    """The text of one file, whatever it is; ends the command where it cannot be read."""
    return _or_end(_text, path)


def read(paths: Sequence[str]) -> list[Loaded]:
    """All rules of some files; raises `BadFiles`."""
    mistakes: list[str] = []
    return _rules_of(_texts(paths, mistakes), mistakes)


def _or_end(reading: Callable[P, T], *args: P.args, **more: P.kwargs) -> T:
    try:
        return reading(*args, **more)
    except BadFiles as error:
        click.echo(str(error), err=True)
        sys.exit(1)


def _rules_of(texts: Iterable[tuple[str, str]], mistakes: list[str]) -> list[Loaded]:
    loaded: list[Loaded] = []
    for path, text in texts:
        try:
            loaded += [Loaded(path, text, each) for each in read_rules_file(text)]
        except RuleError as error:
            mistakes.append(f"{path}: {error}")
    mistakes += _twice(loaded)
    if mistakes:
        raise BadFiles(mistakes)
    return loaded


def canonical(name: str, dsl: str, lines: Lines, tests: str) -> str:
    """A rule in the one way in which it is compared: two that are equal in it are one to `diff` and `apply`."""
    return format_file_rule(compile_rule(dsl).tree, name, lines, without_last_comments(tests))


def of_file(loaded: Loaded) -> str:
    """Likewise, of one in a file."""
    found = loaded.found
    return canonical(found.name, found.dsl, found.lines, found.tests)


def _texts(paths: Sequence[str], mistakes: list[str]) -> Iterator[tuple[str, str]]:
    for path in dict.fromkeys(_paths(paths)):
        try:
            yield path, _text(path)
        except BadFiles as error:
            mistakes.append(str(error))


def _text(path: str) -> str:
    try:
        with click.open_file(path, encoding=UTF_8) as file:
            return str(file.read())
    except UnicodeDecodeError:
        raise BadFiles([f"{path}: is no UTF-8"]) from None
    except OSError as error:
        raise BadFiles([f"{path}: {error.strerror}"]) from None


def _paths(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        if path != STDIN and Path(path).is_dir():
            found = sorted(str(each) for each in Path(path).rglob("*.rules"))
            if not found:
                raise click.UsageError(f"{path} holds no *.rules files")
            yield from found
        else:
            yield path


def _twice(loaded: Sequence[Loaded]) -> list[str]:
    first: dict[str, Loaded] = {}
    mistakes = []
    for each in loaded:
        other = first.setdefault(each.found.name, each)
        if other is not each:
            place = f"{each.path}:{each.line(each.found.span.start)}"
            mistakes.append(f"{place}: `{each.found.name}` stands in {other.path} too")
    return mistakes
