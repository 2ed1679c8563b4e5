"""Rules."""

from flask import Blueprint, render_template

bp = Blueprint("rules", __name__, url_prefix="/console/rules")


@bp.get("")
def listing() -> str:
    """The list."""
    return render_template("console/rules.html")
