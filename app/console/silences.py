"""Silences."""

from flask import Blueprint, render_template

bp = Blueprint("silences", __name__, url_prefix="/console/silences")


@bp.get("")
def listing() -> str:
    """The list."""
    return render_template("console/silences.html")
