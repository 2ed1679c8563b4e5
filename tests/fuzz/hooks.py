"""What schemathesis cannot do by itself: write NDJSON."""

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: Any, value: Any) -> bytes:
    """A text as it is, anything else as one line."""
    return (value if isinstance(value, str) else json.dumps(value)).encode(errors="replace")
