"""The pages on integrations, and what stands in their fences."""

import re
import shlex
from itertools import groupby
from pathlib import Path
from textwrap import dedent
from typing import Final

ROOT: Final = Path(__file__).parents[1]
FOLDER: Final = ROOT / "docs" / "integrations"
NAMES: Final = sorted(page.stem for page in FOLDER.glob("*.md"))
FENCE: Final = re.compile(r"^( *)```([a-z]*)\n(.*?)\n\1```$", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    """The text of a page."""
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def fences(text: str, kind: str) -> list[str]:
    """What stands in the fences of a kind, also of those within a list, in their order."""
    return [dedent(content) for _, of, content in FENCE.findall(text) if of == kind]


def calls(text: str, program: str) -> list[list[str]]:
    """The words behind each call of a program in the fences of shells."""
    found: list[list[str]] = []
    for script in fences(text, "sh"):
        words = shlex.shlex(script.replace("\\\n", ""), posix=True, punctuation_chars="\n|&")
        words.whitespace, words.whitespace_split, words.commenters = " ", True, ""
        for ends, command in groupby(words, lambda word: not word.strip("\n|&")):
            name, *rest = command
            if not ends and name == program:
                found.append(rest)
    return found
