"""Keys."""

from flask import Blueprint, render_template

bp = Blueprint("keys", __name__, url_prefix="/console/keys")


@bp.get("")
def listing() -> str:
    """The list."""
    return render_template("console/keys.html")
