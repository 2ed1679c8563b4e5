"""Channels."""

from flask import Blueprint, render_template

bp = Blueprint("channels", __name__, url_prefix="/console/channels")


@bp.get("")
def listing() -> str:
    """The list."""
    return render_template("console/channels.html")
