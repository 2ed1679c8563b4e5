"""Notifications."""

from flask import Blueprint, render_template

bp = Blueprint("notifications", __name__, url_prefix="/console/notifications")


@bp.get("")
def listing() -> str:
    """The list."""
    return render_template("console/notifications.html")
