"""The audit log: who did what, when."""

from uuid import UUID

from flask import Blueprint, render_template, request

from app.console.paging import Page, page_of
from app.extensions import session
from app.models.audit import AuditEntry
from app.services import audit

bp = Blueprint("audit", __name__, url_prefix="/console/audit")


@bp.get("")
def listing() -> str:
    """Changes, newest first; of one actor or action where the address says so."""
    actor, action = (request.args.get(name) or None for name in ("actor", "action"))

    def found(after: UUID | None, limit: int) -> list[AuditEntry]:
        entries = audit.listing(
            session(), actor=actor, action=action, since=None, after=after, limit=limit
        )
        return list(entries)

    page: Page[AuditEntry] = page_of(found, lambda entry: entry.id)
    return render_template("console/audit.html", page=page, actor=actor, action=action)
