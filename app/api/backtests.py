"""Backtests: rules tried on stored events. They run by themselves; these calls begin, show and end them."""

from typing import Any
from uuid import UUID

from flask import url_for
from flask_smorest import Blueprint

from app.api.auth import caller, requires
from app.extensions import session
from app.models.backtests import Backtest
from app.runtime import now
from app.schemas.backtests import (
    BacktestOut,
    BacktestPage,
    BacktestQuery,
    BacktestShort,
    DiffIn,
    DraftBacktestIn,
    RuleBacktestIn,
)
from app.schemas.common import page_of, read_cursor
from app.services import backtests
from app.services.backtests import Wish
from app.web.guards import check_target
from app.web.request import StrictParser
from tasks.publisher import wake_backtest
from tasks.wiring import publish

bp = Blueprint("backtests", __name__, description="Rules tried on the past")
bp.ARGUMENTS_PARSER = StrictParser()

Answer = tuple[dict[str, Any], int, dict[str, str]]


@bp.route("/rules/backtest", methods=["POST"])
@requires(bp, "write")
@bp.arguments(DraftBacktestIn)
@bp.response(202, BacktestShort)
def draft(body: dict[str, Any]) -> Answer:
    """Try a sentence, or many rules at once, on stored events; nothing is sent

    `GET` the `Location` for its progress, and what has come of it so far. A mistake in one of many `rules` is
    found when they are tried: the backtest is `failed` then, with the `reason`.
    """
    if "rules" in body:
        return _begun(backtests.of_many(session(), body["rules"], _wish(body), now()))
    return _begun(backtests.of_draft(session(), body["dsl"], _wish(body), check_target, now()))


@bp.route("/rules/<uuid:rule_id>/backtest", methods=["POST"])
@requires(bp, "write")
@bp.arguments(RuleBacktestIn)
@bp.response(202, BacktestShort)
def rule(body: dict[str, Any], rule_id: UUID) -> Answer:
    """Try a rule on stored events, and compare with what it did live; nothing is sent"""
    return _begun(backtests.of_rule(session(), rule_id, body["version"], _wish(body), now()))


@bp.route("/rules/<uuid:rule_id>/diff", methods=["POST"])
@requires(bp, "write")
@bp.arguments(DiffIn)
@bp.response(202, BacktestShort)
def diff(body: dict[str, Any], rule_id: UUID) -> Answer:
    """Try two versions of a rule, or one and a sentence, on the same stored events"""
    sides = (body["from_"], body.get("dsl", body["to"]))
    return _begun(
        backtests.of_difference(session(), rule_id, sides, _wish(body), check_target, now())
    )


@bp.route("/backtests", methods=["GET"])
@requires(bp, "read")
@bp.arguments(BacktestQuery, location="query")
@bp.response(200, BacktestPage)
def listing(query: dict[str, Any]) -> dict[str, Any]:
    """List backtests, newest first; they are kept for a week"""
    after, limit = read_cursor(query["after"]), query["limit"]
    found = backtests.listing(session(), query["rule_id"], after, limit + 1)
    page, following = page_of(found, limit, lambda row: row.id)
    return {"data": [_short(row) for row in page], "next": following}


@bp.route("/backtests/<uuid:backtest_id>", methods=["GET"])
@requires(bp, "read")
@bp.response(200, BacktestOut)
def get(backtest_id: UUID) -> dict[str, Any]:
    """Read a backtest: how far it is, and what has come of it so far"""
    row = backtests.get(session(), backtest_id)
    return _short(row) | {"result": row.result}


@bp.route("/backtests/<uuid:backtest_id>/cancel", methods=["POST"])
@requires(bp, "write")
@bp.response(200, BacktestShort)
def cancel(backtest_id: UUID) -> dict[str, Any]:
    """Cancel a backtest that waits or runs"""
    row = backtests.cancel(session(), backtest_id, now())
    session().commit()
    return _short(row)


def _begun(row: Backtest) -> Answer:
    session().commit()
    publish([wake_backtest(row.id)])
    return _short(row), 202, {"Location": url_for("backtests.get", backtest_id=row.id)}


def _wish(body: dict[str, Any]) -> Wish:
    return Wish(body["since"], body["until"], caller().name)


def _short(row: Backtest) -> dict[str, Any]:
    of_rule = url_for("rules.get", rule_id=row.rule_id) if row.rule_id else None
    shown = {name: getattr(row, name) for name in BacktestShort().fields if name != "links"}
    return shown | {
        "links": {"self": url_for("backtests.get", backtest_id=row.id), "rule": of_rule}
    }
