"""Bodies of stored events, read as live evaluation reads them, but in a third of the time."""

import json
import re
from typing import Any, Final

import orjson

# The fast reader makes a double of a whole number past 64 bits; to the language it is exact.
_WIDE: Final = re.compile(r"[0-9]{19}", re.ASCII).search


def read(text: str) -> dict[str, Any]:
    """The body of an event, whole numbers exact."""
    if _WIDE(text) is None:
        try:
            body: dict[str, Any] = orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
        else:
            return body
    exact: dict[str, Any] = json.loads(text)
    return exact
