"""Drafts of rules, as `rule backtest` is given them: files of rules, or one sentence without a name."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from app.cli.local.rulefiles import STDIN, load, load_text, load_whole

# A file of rules begins with the name of its first, after comments.
_NAMED: Final = re.compile(r"""(?:\s|#[^\n]*(?:\n|$))*rule\s*["']""")


@dataclass(frozen=True)
class Draft:
    """One rule that is not saved."""

    name: str | None
    dsl: str

    @property
    def sentence(self) -> str:
        """The sentence with its name, where it has one."""
        return self.dsl if self.name is None else f"rule {json.dumps(self.name)}\n{self.dsl}"

    def to_json(self) -> dict[str, str]:
        """One of many, as the API takes it."""
        return {"name": self.name or "", "dsl": self.dsl}


def drafts(which: Sequence[str]) -> list[Draft] | None:
    """All rules in files; None where one word is no file, and so a saved rule."""
    missing = [each for each in which if each != STDIN and not Path(each).exists()]
    if missing and len(which) == 1:
        return None
    if missing:
        raise click.UsageError(f"{missing[0]} is no file; of saved rules one at a time is tried")
    if len(which) > 1 or Path(which[0]).is_dir():
        loaded = load(which)
    else:
        text = load_whole(which[0])
        if not _NAMED.match(text):
            return [Draft(None, text)]
        loaded = load_text(which[0], text)
    if not loaded:
        raise click.UsageError("these files hold no rules")
    return [Draft(each.found.name, each.found.dsl) for each in loaded]
