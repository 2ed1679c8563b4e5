"""What is told about a mistake."""

from typing import NamedTuple


class Telling(NamedTuple):
    """A message, a hint and a code; the place is known already."""

    message: str
    hint: str | None
    code: str = "syntax"
