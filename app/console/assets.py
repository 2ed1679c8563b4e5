"""The bundle, compressed once in each process and kept by browsers for as long as it is the same."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from flask import Blueprint, Response, abort, request, url_for

FOLDER: Final = Path(__file__).parent / "static" / "dist"
TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}

bp = Blueprint("assets", __name__)


@dataclass(frozen=True)
class Asset:
    """One file of the bundle."""

    raw: bytes
    small: bytes
    mark: str
    media_type: str


@cache
def load() -> dict[str, Asset]:
    """All of the bundle, by name."""
    return {file.name: _read(file) for file in sorted(FOLDER.iterdir()) if file.suffix in TYPES}


def _read(file: Path) -> Asset:
    raw = file.read_bytes()
    mark = hashlib.sha256(raw).hexdigest()[:12]
    return Asset(raw, gzip.compress(raw, mtime=0), mark, TYPES[file.suffix])


def address(name: str) -> str:
    """Where a file is, with a mark that changes when it does."""
    return url_for("console.assets.serve", name=name, v=load()[name].mark)


@bp.get("/console/static/<name>")
def serve(name: str) -> Response:
    """One file."""
    found = load().get(name) or abort(404)
    small = "gzip" in request.headers.get("Accept-Encoding", "")
    response = Response(found.small if small else found.raw, mimetype=found.media_type)
    response.headers["Vary"] = "Accept-Encoding"
    if small:
        response.headers["Content-Encoding"] = "gzip"
    fixed = request.args.get("v") == found.mark
    response.headers["Cache-Control"] = (
        "public, max-age=31536000, immutable" if fixed else "no-cache"
    )
    return response
