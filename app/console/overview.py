"""The overview: whether all is well, and what goes on."""

from flask import Blueprint, render_template

bp = Blueprint("overview", __name__)


@bp.get("/")
def page() -> str:
    """The first page."""
    return render_template("console/overview.html")
