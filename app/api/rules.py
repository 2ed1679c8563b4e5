"""`/rules`: sentences that say when who hears what."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from flask import Response, url_for
from flask_smorest import Blueprint
from werkzeug.http import parse_etags

from app.api.auth import requires
from app.config import Memory
from app.extensions import session
from app.models.rules import Mode, RuleVersion
from app.runtime import now, runtime
from app.schemas.common import PageQuery, page_of, read_cursor
from app.schemas.rules import (
    IfMatch,
    RuleIn,
    RuleOut,
    RulePage,
    RulePatch,
    RuleVersions,
    TestIn,
    TestOut,
    ValidateIn,
    ValidateOut,
)
from app.schemas.scorecard import ScorecardOut, ScorecardQuery
from app.services import cautions, rules, scorecard
from app.services.rules import Change, Draft
from app.web.guards import check_target
from app.web.request import StrictParser
from rules_dsl import diagnostics
from tasks import totals

bp = Blueprint("rules", __name__, url_prefix="/rules", description="When who hears what")
bp.ARGUMENTS_PARSER = StrictParser()

Answer = tuple[dict[str, Any], int, dict[str, str]]


@bp.route("", methods=["GET"])
@requires(bp, "read")
@bp.arguments(PageQuery, location="query")
@bp.response(200, RulePage)
def listing(query: dict[str, Any]) -> dict[str, Any]:
    """List rules, oldest first"""
    found = rules.listing(session(), read_cursor(query["after"]), query["limit"] + 1)
    page, following = page_of(found, query["limit"], lambda version: version.rule_id)
    return {"data": _shown(page), "next": following}


@bp.route("", methods=["POST"])
@requires(bp, "write")
@bp.arguments(RuleIn)
@bp.response(201, RuleOut)
def create(body: dict[str, Any]) -> Answer:
    """Create a rule

    A sentence that cannot be accepted is refused with its line, its column and a hint.
    """
    version = rules.create(session(), _draft(body), check_target, now(), _memory())
    session().commit()
    location = url_for("rules.get", rule_id=version.rule_id)
    return _view(version), 201, _headers(version) | {"Location": location}


@bp.route("/<uuid:rule_id>", methods=["GET"])
@requires(bp, "read")
@bp.response(200, RuleOut)
def get(rule_id: UUID) -> Answer:
    """Read a rule in its current version"""
    version = rules.get(session(), rule_id)
    return _view(version), 200, _headers(version)


@bp.route("/<uuid:rule_id>", methods=["PUT"])
@requires(bp, "write")
@bp.arguments(IfMatch, location="headers")
@bp.arguments(RuleIn)
@bp.response(200, RuleOut)
def replace(headers: dict[str, Any], body: dict[str, Any], rule_id: UUID) -> Answer:
    """Replace a rule by a new version

    Without `mode` a rule in shadow stays there, and one that is off becomes live.
    """
    return _change(rule_id, {"enabled": True} | body, headers)


@bp.route("/<uuid:rule_id>", methods=["PATCH"])
@requires(bp, "write")
@bp.arguments(IfMatch, location="headers")
@bp.arguments(RulePatch)
@bp.response(200, RuleOut)
def patch(headers: dict[str, Any], body: dict[str, Any], rule_id: UUID) -> Answer:
    """Change some fields of a rule, by a new version"""
    return _change(rule_id, body, headers)


@bp.route("/<uuid:rule_id>", methods=["DELETE"])
@requires(bp, "write")
@bp.arguments(IfMatch, location="headers")
@bp.response(204)
def delete(headers: dict[str, Any], rule_id: UUID) -> Response:
    """Delete a rule, and cancel what it has not sent

    `X-Cancelled-Notifications` says how many notifications that were; `X-Cancelling-Notifications` how many
    more are cancelled within moments, and not sent either.
    """
    change = rules.delete(session(), rule_id, now(), _if_match(headers))
    session().commit()
    return Response(status=204, headers=_cancelled(change))


@bp.route("/<uuid:rule_id>/promote", methods=["POST"])
@requires(bp, "write")
@bp.arguments(IfMatch, location="headers")
@bp.response(200, RuleOut)
def promote(headers: dict[str, Any], rule_id: UUID) -> Answer:
    """Let a rule notify: in shadow or off, it becomes live

    Its noise is counted from now on. What it matched in shadow is never sent.
    """
    return _change(rule_id, {"mode": Mode.LIVE}, headers)


@bp.route("/<uuid:rule_id>/demote", methods=["POST"])
@requires(bp, "write")
@bp.arguments(IfMatch, location="headers")
@bp.response(200, RuleOut)
def demote(headers: dict[str, Any], rule_id: UUID) -> Answer:
    """Put a live rule in shadow, and cancel what it has not sent; 409 where it is off

    `X-Cancelled-Notifications` says how many notifications that were; `X-Cancelling-Notifications` how many
    more are cancelled within moments, and not sent either.
    """
    return _changed(rules.demote(session(), rule_id, now(), _if_match(headers), _memory()))


@bp.route("/<uuid:rule_id>/scorecard", methods=["GET"])
@requires(bp, "read")
@bp.arguments(ScorecardQuery, location="query")
@bp.response(200, ScorecardOut)
def card(query: dict[str, Any], rule_id: UUID) -> dict[str, Any]:
    """Read how a rule did in the last days: matches, notifications, noise, cost, and what it reads in vain

    The days are those of UTC, today included. The cost is measured now, on the newest events of the types that it asks
    for.
    """
    found = scorecard.of(session(), rule_id, query["days"], _memory(), now())
    return vars(found) | {"fires": sum(found.fires.values()), "fires_by_day": found.fires}


@bp.route("/<uuid:rule_id>/versions", methods=["GET"])
@requires(bp, "read")
@bp.response(200, RuleVersions)
def versions(rule_id: UUID) -> dict[str, list[dict[str, Any]]]:
    """List every version of a rule, newest first"""
    return {"data": _shown(rules.versions(session(), rule_id))}


@bp.route("/validate", methods=["POST"])
@requires(bp, "read")
@bp.arguments(ValidateIn)
@bp.response(200, ValidateOut)
def validate(body: dict[str, Any]) -> dict[str, Any]:
    """Check a sentence without saving it"""
    found = diagnostics(body["dsl"], check_target)
    return {"valid": all(one["severity"] != "error" for one in found), "diagnostics": found}


@bp.route("/test", methods=["POST"])
@requires(bp, "read")
@bp.arguments(TestIn)
@bp.response(200, TestOut)
def test(body: dict[str, Any]) -> dict[str, Any]:
    """Try a sentence on an event, with the explanation; nothing is stored or sent"""
    return rules.trial(session(), body["dsl"], body["event"], check_target, now())


def _change(rule_id: UUID, body: dict[str, Any], headers: dict[str, Any]) -> Answer:
    changes = body | ({"tags": tuple(body["tags"])} if "tags" in body else {})
    change = rules.change(
        session(), rule_id, changes, check_target, now(), _if_match(headers), _memory()
    )
    return _changed(change)


def _changed(change: Change) -> Answer:
    session().commit()
    return _view(change.version), 200, _headers(change.version) | _cancelled(change)


def _view(version: RuleVersion) -> dict[str, Any]:
    return _shown([version])[0]


def _shown(found: Sequence[RuleVersion]) -> list[dict[str, Any]]:
    warnings = cautions.of(session(), found)
    return [
        vars(version)
        | {
            "rule": version.rule,
            "mode": version.mode,
            "enabled": version.mode is not Mode.OFF,
            "warnings": warnings.get(version.id, []),
        }
        for version in found
    ]


def _cancelled(change: Change) -> dict[str, str]:
    """Count what a change cancelled, and say how many notifications that were, and how many more will be."""
    totals.cancelled(change.cancelled.kinds)
    return {
        "X-Cancelled-Notifications": str(len(change.cancelled.kinds)),
        "X-Cancelling-Notifications": str(change.cancelled.left),
    }


def _memory() -> Memory:
    return runtime().settings.memory


def _draft(body: dict[str, Any]) -> Draft:
    mode = rules.mode_wished(body.pop("enabled", None), body.pop("mode", None), Mode.LIVE)
    return Draft(**(body | {"tags": tuple(body["tags"]), "mode": mode}))


def _headers(version: RuleVersion) -> dict[str, str]:
    return {"ETag": f'"{rules.etag(version)}"'}


def _if_match(headers: dict[str, Any]) -> frozenset[str] | None:
    """The versions of which the caller changes one; None is any.

    A proxy that compresses an answer marks its ETag as weak (`W/`), and the rule is the same.
    """
    given = headers["if_match"]
    if given is None:
        return None
    etags = parse_etags(given)
    return None if etags.star_tag else frozenset(etags.as_set(include_weak=True))
