"""Files of rules, as commands are given them: paths, folders, and `-` for what comes in."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from rules_dsl import FileRule, RuleError, compile_rule, read_rules_file
from rules_dsl.file import without_last_comments
from rules_dsl.format import format_file_rule
from rules_dsl.head import Lines
from rules_dsl.source import line_and_column

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


@dataclass(frozen=True)
class Mistake:
    """Why a file is not to be taken; without a place where it could not even be read."""

    path: str
    said: str
    code: str
    message: str
    hint: str | None = None
    line: int | None = None
    column: int | None = None
    rule: str | None = None

    @classmethod
    def of_rule(cls, path: str, error: RuleError) -> "Mistake":
        """A mistake in a rule."""
        said = f"{path}: {error}"
        return cls(path, said, error.code, error.message, error.hint, error.line, error.column)

    @classmethod
    def of_file(cls, path: str, message: str) -> "Mistake":
        """A file that cannot be read."""
        return cls(path, f"{path}: {message}", "unreadable", message)

    def to_json(self) -> dict[str, Any]:
        """The mistake as JSON, in the form of a finding of lint; whose rule it is only a server's checker tells."""
        return {
            "file": self.path,
            "rule": self.rule,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }


class BadFiles(Exception):
    """Files that are not to be taken, with all that is wrong with them."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n\n".join(each.said for each in mistakes))
        self.mistakes = mistakes


def load(paths: Sequence[str], *, as_json: bool = False) -> list[Loaded]:
    """All rules of some files; ends the command with the mistakes of all of them, in words or as JSON."""
    try:
        return read(paths)
    except BadFiles as error:
        end(error, as_json=as_json)


def load_text(path: str, text: str) -> list[Loaded]:
    """Likewise, of one file that was read already."""
    try:
        return _rules_of([(path, text)], [])
    except BadFiles as error:
        end(error)


def load_whole(path: str) -> str:
    """The text of one file, whatever it is; ends the command where it cannot be read."""
    try:
        return _text(path)
    except BadFiles as error:
        end(error)


def read(paths: Sequence[str]) -> list[Loaded]:
    """All rules of some files; raises `BadFiles`."""
    mistakes: list[Mistake] = []
    return _rules_of(_texts(paths, mistakes), mistakes)


def end(error: BadFiles, *, as_json: bool = False) -> NoReturn:
    """End the command with what is wrong with files, in words or as JSON."""
    if as_json:
        click.echo(json.dumps([each.to_json() for each in error.mistakes]))
    else:
        click.echo(str(error), err=True)
    sys.exit(1)


def _rules_of(texts: Iterable[tuple[str, str]], mistakes: list[Mistake]) -> list[Loaded]:
    loaded: list[Loaded] = []
    for path, text in texts:
        try:
            loaded += [Loaded(path, text, each) for each in read_rules_file(text)]
        except RuleError as error:
            mistakes.append(Mistake.of_rule(path, error))
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


def _texts(paths: Sequence[str], mistakes: list[Mistake]) -> Iterator[tuple[str, str]]:
    for path in _paths(paths):
        try:
            yield path, _text(path)
        except BadFiles as error:
            mistakes += error.mistakes


def _text(path: str) -> str:
    try:
        with click.open_file(path, encoding=UTF_8) as file:
            return str(file.read())
    except UnicodeDecodeError:
        raise BadFiles([Mistake.of_file(path, "is no UTF-8")]) from None
    except OSError as error:
        raise BadFiles([Mistake.of_file(path, str(error.strerror))]) from None


def _paths(paths: Sequence[str]) -> Iterator[str]:
    """Each file once, however often and by whatever links it is reached."""
    seen = set()
    for path in paths:
        for each in _below(path) if path != STDIN and Path(path).is_dir() else (path,):
            real = each if each == STDIN else os.path.realpath(each)
            if real not in seen:
                seen.add(real)
                yield each


def _below(folder: str) -> list[str]:
    """The files of rules below a folder, also behind links: what is overlooked, `--prune` would delete."""
    found: list[str] = []
    walked = set()
    for place, folders, names in os.walk(folder, onerror=_unreadable, followlinks=True):
        real = os.path.realpath(place)
        if real in walked:
            folders.clear()
            continue
        walked.add(real)
        found += [str(Path(place, name)) for name in names if name.endswith(".rules")]
    if not found:
        raise click.UsageError(f"{folder} holds no *.rules files")
    return sorted(found, key=lambda path: (len(Path(path).parts), path))


def _unreadable(error: OSError) -> NoReturn:
    raise BadFiles([Mistake.of_file(str(error.filename), str(error.strerror))])


def _twice(loaded: Sequence[Loaded]) -> list[Mistake]:
    first: dict[str, Loaded] = {}
    mistakes = []
    for each in loaded:
        other = first.setdefault(each.found.name, each)
        if other is not each:
            line, column = line_and_column(each.text, each.found.span.start)
            message = f"`{each.found.name}` stands in {other.path} too"
            said = f"{each.path}:{line}: {message}"
            mistakes.append(Mistake(each.path, said, "name", message, None, line, column))
    return mistakes
