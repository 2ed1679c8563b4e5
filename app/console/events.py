"""Events: what came in, its live tail, and why rules did or did not fire on each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from flask import Blueprint, Response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.console import asked, door
from app.console.asked import Question
from app.console.folding import folded
from app.console.paging import SHOWN, Page, address, page_of
from app.console.tails import rows, tails
from app.console.telling import FEW_CLAUSES, clauses
from app.extensions import session
from app.metrics import EVENTS_INGESTED, totals
from app.pool import be_patient
from app.runtime import now
from app.services import claims, feed, finding, replaying, tracing, why
from app.services.feed import Line, New
from app.services.summaries import Answer
from app.services.tracing import State
from app.services.why import Why
from tasks.publisher import wake_events
from tasks.wiring import publish

REPLAY, ACCEPTED = "replay", "accepted"
# For the database, in all: what looks at thousands of events takes longer than a request otherwise may.
PATIENCE: Final = 5.0
# A page looks at so many rules beside those on record, and at more where somebody asks for them.
FEW_RULES: Final = 20
RULES_SHOWN: Final = 20
MANY_SHOWN: Final = 50

bp = Blueprint("events", __name__, url_prefix="/console/events")


@dataclass(frozen=True)
class Results:
    """A page of the list; `looked_at` where a condition was asked of so many events without filling it."""

    page: Page[Line]
    new: New
    looked_at: int | None = None


@dataclass(frozen=True)
class Outcomes:
    """What rules made of an event, those that fired first: `shown` of `considered` of all that were current.

    Each group has its name, how many are in it, and those of them that are shown.
    """

    groups: Sequence[tuple[str, int, Sequence[Why]]]
    shown: int
    considered: int
    rules: int
    # The one that the address asks for.
    rule: UUID | None
    every: bool


@bp.get("")
def listing() -> ResponseReturnValue:
    """Events that fit, newest first; with `live` those that come later too."""
    question = asked.read(request.args)
    results = None if question.wrong else _results(question)
    live = "live" in request.args and results is not None and results.page.newest is None
    part = _is_part()
    html = render_template(
        "console/_events.html" if part else "console/events.html",
        question=question,
        results=results,
        live=live,
        rows=rows,
        matched=asked.MATCHED,
        tail=_tail_address(question, results.new) if results and live else None,
        switched=_address(question, live=None if live else 1),
    )
    status = HTTPStatus.UNPROCESSABLE_ENTITY if question.wrong else HTTPStatus.OK
    headers = {"HX-Push-Url": _address(question, live=1 if live else None)} if part else {}
    return html, status, headers


@bp.get("/newer")
def newer() -> ResponseReturnValue:
    """What has come since a cursor, as rows to put on top; nothing where that is shown already."""
    question = asked.read(request.args, request.args.get("cursor", type=UUID))
    if question.wrong or question.asked.newer is None:
        return "", HTTPStatus.NO_CONTENT
    found = tails.newer(question, question.asked.newer)
    if found is None:
        return "", HTTPStatus.NO_CONTENT
    new, newest = found
    known = new.mark == request.args.get("mark")
    over = all(line.id <= new.cursor for line in new.lines)
    if known and not over:
        return "", HTTPStatus.NO_CONTENT
    return render_template(
        "console/_events_newer.html",
        rows="" if known else newest.drawn(new.lines),
        tail=_tail_address(question, new),
    )


@bp.get("/<uuid:event_id>")
def get(event_id: UUID) -> str:
    """One event, and what each rule made of it."""
    state, outcomes = _outcomes(event_id)
    part = _is_part()
    return render_template(
        "console/_outcomes.html" if part else "console/event.html",
        state=state,
        event=state.event,
        outcomes=outcomes,
        clauses=clauses,
        few_clauses=FEW_CLAUSES,
        body=None if part else folded(state.event.body),
    )


@bp.get("/<uuid:event_id>/body")
def body(event_id: UUID) -> Response:
    """The body to the letter."""
    response = Response(tracing.body(session(), event_id), mimetype="application/json")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


@bp.post("/<uuid:event_id>/replay")
def replay(event_id: UUID) -> Response:
    """Accept an event anew, to be judged by the rules of now."""
    tracing.event(session(), event_id)
    made = [one.id for one in replaying.replay(session(), [event_id], now())]
    session().commit()
    publish([wake_events(made)])
    totals.count(EVENTS_INGESTED, REPLAY, ACCEPTED, by=len(made))
    where = url_for("console.events.get", event_id=made[0] if made else event_id)
    return door.see_other(where, "Replayed. This is the new event; the rules of now judge it.")


@bp.post("/<uuid:event_id>/retry")
def retry(event_id: UUID) -> Response:
    """Evaluate an event again whose evaluation was given up."""
    claims.retry(session(), event_id, now())
    session().commit()
    publish([wake_events([event_id])])
    where = url_for("console.events.get", event_id=event_id)
    return door.see_other(where, "It is evaluated again, by the rules of its acceptance.")


def _is_part() -> bool:
    """Whether a script asks for a part of the page."""
    return "HX-Request" in request.headers


def _address(question: Question, **more: object) -> str:
    """The list's address for a question, without what it leaves open."""
    values: dict[str, Any] = {**question.given, **more}
    return url_for("console.events.listing", **values)


def _tail_address(question: Question, new: New) -> str:
    """Where to ask for what is newer."""
    values: dict[str, Any] = {**question.given, "cursor": new.cursor, "mark": new.mark}
    return url_for("console.events.newer", **values)


def _results(question: Question) -> Results:
    """The page that an address asks for."""
    moment = now()
    settled = feed.settled(session(), moment)
    if question.condition is None:

        def found(after: UUID | None, limit: int) -> list[Line]:
            return feed.lines(session(), question.asked, after, limit)

        page = page_of(found, lambda line: line.id)
        return Results(page, feed.begin(page.items, settled, moment))
    be_patient(PATIENCE)
    after = request.args.get("after", type=UUID)
    looked = finding.find(session(), question.condition, question.asked, after, SHOWN)
    lines = feed.of(session(), [state.event.id for state in looked.states])
    older = address(after=looked.next) if looked.next else None
    page = Page(lines, older, address(after=None) if after else None)
    short = looked.next is not None and len(lines) < SHOWN
    return Results(page, feed.begin(lines, settled, moment), looked.scanned if short else None)


def _outcomes(event_id: UUID) -> tuple[State, Outcomes]:
    """What the address asks for: one rule's, the first rules', or those of all that are looked at."""
    rule = request.args.get("rule", type=UUID)
    if rule is not None:
        state, one = tracing.event(session(), event_id), why.of_rule(session(), event_id, rule)
        return state, Outcomes([("", 1, [one])], 1, 1, 1, rule, every=False)
    be_patient(PATIENCE)
    every = "all" in request.args
    whys = why.of_all(session(), event_id, why.CONSIDERED if every else FEW_RULES)
    shown = whys.found[: MANY_SHOWN if every else RULES_SHOWN]
    many = Counter(map(_group, whys.found))
    groups = [(title, many[title], list(some)) for title, some in groupby(shown, _group)]
    return whys.state, Outcomes(
        groups,
        shown=len(shown),
        considered=whys.considered,
        rules=whys.rules,
        rule=None,
        every=every,
    )


def _group(one: Why) -> str:
    match one.answer:
        case Answer.FIRED:
            return "Fired"
        case Answer.FAILED | Answer.DID_NOT_FIRE | Answer.GIVEN_UP:
            return "Did not fire"
        case Answer.PENDING:
            return "Not decided yet"
        case _:
            return "Took no part"
