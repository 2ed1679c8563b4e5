"""What single POSTs are compared with: a Flask application that answers 202 and does nothing."""

from typing import Any

from flask import Flask

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1 << 24


@app.post("/events")
def events() -> tuple[dict[str, Any], int]:
    """The same answer for everybody."""
    return {"status": "accepted"}, 202
