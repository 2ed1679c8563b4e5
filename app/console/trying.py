"""What the editor asks while a sentence is written: what is wrong with it, and what it would do. It changes nothing."""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any, Final, cast

from flask import render_template, request
from flask.typing import ResponseReturnValue

from app.channels import registry
from app.console import telling
from app.console.formats import pretty
from app.console.rules import bp
from app.extensions import session
from app.runtime import now, runtime
from app.services import channels, fields, rules, strict_json
from app.services.backtesting import newest
from app.services.backtesting.types import types_of
from app.services.errors import Refusal
from app.web.guards import check_target
from app.web.request import SentinelRequest
from rules_dsl import Rule, RuleError, catalogue, compile_rule, diagnostics
from rules_dsl.vocabulary import vocabulary

# For names in targets: whoever types does not wait for them, and a save looks again.
LOOKUP_SECONDS: Final = 0.15
DRAFT: Final = "Draft"
# Whom a sentence notifies that has not come to its `then` yet.
NOBODY: Final = "nobody:yet"
# Completion needs no more; the API reads more.
EVENTS_READ: Final = 300
MOST_TYPES: Final = 5
LINE: Final = 160
# For the page before any event has come.
EXAMPLE: Final = {"type": "order", "amount": 750}


@bp.get("/language")
def language() -> dict[str, Any]:
    """The words and functions of the language, and who can be notified, for the editor."""
    named = [
        {"target": f"{row.kind}:{row.name}", "kind": row.kind, "enabled": row.enabled}
        for row in channels.listing(session())
    ]
    kinds = {kind: registry.get(kind).label for kind in registry.kinds()}
    return {"words": vocabulary(), "functions": catalogue(), "targets": named, "kinds": kinds}


@bp.get("/fields")
def fields_seen() -> dict[str, Any]:
    """The fields of the newest events of a type, or of all, for completion."""
    found = fields.seen(session(), request.args.get("type") or None, EVENTS_READ)
    return {
        "events": found.events,
        "types": found.types,
        "fields": [vars(one) for one in found.fields],
    }


@bp.post("/validate")
def validate() -> str:
    """What is wrong with a sentence, by the checker that decides when it is saved."""
    _hurry()
    dsl = _sentence()
    found = diagnostics(dsl, check_target) if dsl.strip() else []
    broken = bool(found) and compiled(dsl) is None
    return render_template(
        "console/_diagnostics.html", found=found, empty=not dsl.strip(), broken=broken
    )


@bp.post("/preview")
def preview() -> ResponseReturnValue:
    """What a sentence would have made of the newest events; nothing while it is no rule yet."""
    rule = compiled(_sentence())
    if rule is None:
        return "", 204
    name = request.form.get("name", "").strip() or rule.name or DRAFT
    found = newest.tried(session(), name, rule, runtime().settings.memory, now())

    def said(hit: newest.Hit) -> str:
        """What whoever is notified would read, or the event itself."""
        return (hit.body and rule.render_message(hit.body, hit.at)) or short(hit.body)

    return render_template(
        "console/_preview.html",
        found=found,
        said=said,
        most=newest.MOST,
        tells=NOBODY not in map(str, rule.targets),
    )


@bp.post("/test")
def test() -> ResponseReturnValue:
    """What a sentence says of one event, clause by clause; nothing while it is no rule yet.

    The event is the newest of the type that the sentence asks for, until somebody types another.
    """
    rule = compiled(_sentence())
    if rule is None:
        return "", 204
    given = request.form.get("event", "").replace("\r\n", "\n")
    untouched = not given.strip() or request.form.get("event_was") == mark(given)
    fresh = sample(rule) if untouched else None
    text = fresh or given
    shown: dict[str, Any] = {"sample": fresh if fresh != given else None, "mark": mark}
    try:
        event = _event(text)
        trial = rules.trial(session(), rule.text, event, _anybody, now())
    except Refusal as error:
        return render_template("console/_trial.html", refused=error.detail, **shown)
    hears = [one for one in trial["notifications"] if one["target"] != NOBODY]
    return render_template(
        "console/_trial.html",
        trial=trial,
        clauses=telling.read,
        hears=hears,
        remembers=rule.has_memory,
        **shown,
    )


def short(body: Mapping[str, Any] | None) -> str:
    """An event in a line, as far as that goes."""
    text = json.dumps(body, ensure_ascii=False) if body else ""
    return text if len(text) <= LINE else f"{text[: LINE - 1]}…"


def sample(rule: Rule | None) -> str:
    """The newest event of a type that a rule asks for, as JSON; an example where there is none."""
    asked = sorted(types_of(rule) or ())[:MOST_TYPES] if rule else []
    types: list[str | None] = [*asked] or [None]
    for type_ in types:
        for _, body in fields.newest(session(), type_, 1):
            return pretty(body)
    return pretty(EXAMPLE | {"type": asked[0]} if asked else EXAMPLE)


def mark(text: str) -> str:
    """What tells whether somebody changed a sample."""
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]


def _event(text: str) -> dict[str, Any]:
    raw = text.strip().encode("utf-8", "replace")
    if len(raw) > runtime().settings.max_body:
        raise Refusal("this event is larger than any that is accepted")
    event = strict_json.loads(raw)
    if not isinstance(event, dict):
        raise Refusal(f"an event is a JSON object, not {json.dumps(event)[:40]}")
    return event


def compiled(dsl: str) -> Rule | None:
    """A sentence as a rule, whoever it notifies; one that has come as far as its condition notifies nobody yet."""
    for text in (dsl, f'{dsl}\nthen notify("{NOBODY}")'):
        try:
            return compile_rule(text)
        except RuleError:
            continue
    return None


def _sentence() -> str:
    return request.form.get("dsl", "").replace("\r\n", "\n")


def _anybody(kind: str, address: str) -> None:
    """Whom a sentence notifies is no matter to what it matches; `validate` says it."""


def _hurry() -> None:
    cast(SentinelRequest, request).lookups_until = time.monotonic() + LOOKUP_SECONDS
