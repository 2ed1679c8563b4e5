"""Events."""

from flask import Blueprint, render_template

bp = Blueprint("events", __name__, url_prefix="/console/events")


@bp.get("")
def listing() -> str:
    """The list."""
    return render_template("console/events.html")
