"""Search: places, and things by their names and ids; as a page, and as the list of a palette."""

from flask import Blueprint, render_template, request, url_for

from app.console import navigation

bp = Blueprint("search", __name__)


@bp.get("/console/search")
def page() -> str:
    """What fits the words, as a page."""
    words = request.args.get("q", "")
    return render_template("console/search.html", found=_found(words), words=words)


@bp.get("/console/jump")
def jump() -> str:
    """The same as a list to choose from."""
    return render_template("console/_found.html", found=_found(request.args.get("q", "")))


def _found(words: str) -> list[tuple[str, str, str]]:
    """Address, name and kind."""
    return [
        (url_for(entry.endpoint), entry.label, "page")
        for entry in navigation.ENTRIES
        if words.strip().lower() in entry.label.lower()
    ]
