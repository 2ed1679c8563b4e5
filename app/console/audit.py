"""Audit."""

from flask import Blueprint, render_template

bp = Blueprint("audit", __name__, url_prefix="/console/audit")


@bp.get("")
def listing() -> str:
    """The list."""
    return render_template("console/audit.html")
