"""What `POST /events` does with a body: one event, NDJSON, or a JSON array; CloudEvents it hands on.

The busiest door of the house reads its header and writes its answer without schemas; the document describes both.
"""

from collections.abc import Iterable
from functools import partial
from itertools import chain
from typing import IO, Any, Final

from flask import Response
from werkzeug.exceptions import RequestEntityTooLarge

from app.api import cloudevents
from app.api.acceptance import group
from app.api.answering import accepted, accepted_one
from app.api.auth import caller
from app.api.following import follow
from app.api.keeping import BATCH_SECONDS
from app.api.problems import problem
from app.extensions import session
from app.ids import uuid7
from app.metrics import EVENTS_INGESTED, INGEST_REJECTED, totals
from app.pool import be_patient
from app.runtime import now, runtime
from app.schemas.events import ACCEPTED, EventIn
from app.services import batches, idempotency, ingest, json_items, strict_json
from app.services.errors import Refusal
from app.services.idempotency import Idempotency
from app.services.json_items import PIECE, Item
from app.web.request import asked, body_file, check_content_type
from tasks.publisher import wake_events, wake_stored
from tasks.wiring import publish

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
SOURCE: Final = "http"
LONGEST_KEY: Final = 255
IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "For 24 hours, the same key with the same body gets the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
}
REQUEST_BODY: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        JSON: {"schema": {"oneOf": [EventIn, {"type": "array", "items": EventIn}]}},
        NDJSON: {
            "schema": {"type": "string"},
            "example": '{"type": "order"}\\n{"type": "ping"}\\n',
        },
        **cloudevents.CONTENT,
    },
}


def accept() -> Response:
    """Store what came, and answer after the commit."""
    request = asked()
    named = _named()
    if cloudevents.came(request):
        # It has an id of its own.
        return cloudevents.accept()
    check_content_type(request, JSON, NDJSON)
    settings = runtime().settings
    with body_file(request, settings.max_batch) as body:
        key = None if named is None else _key(named, body)
        if request.mimetype == NDJSON:
            return _batch(batches.lines(body, settings.max_body), key)
        if _is_array(body):
            return _batch(json_items.items(body, settings.max_body), key)
        raw = body.read(settings.max_body + 1)
    if len(raw) > settings.max_body:
        raise RequestEntityTooLarge
    return _one(raw, key)


def _is_array(body: IO[bytes]) -> bool:
    begun = b""
    while not begun and (piece := body.read(PIECE)):
        begun = piece.lstrip()
    body.seek(0)
    return begun.startswith(b"[")


def _named() -> str | None:
    key = asked().environ.get("HTTP_IDEMPOTENCY_KEY")
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        raise Refusal(
            f"must be 1 to {LONGEST_KEY} characters",
            pointer="/headers/Idempotency-Key",
            code="bad_idempotency_key",
        )
    return key


def _key(named: str, body: IO[bytes]) -> Idempotency:
    # The same bytes are another request as another type.
    sent = chain([asked().mimetype.encode()], iter(partial(body.read, PIECE), b""))
    made = Idempotency.of(str(caller().key_id or ""), named, sent)
    body.seek(0)
    return made


def _one(raw: bytes, key: Idempotency | None) -> Response:
    text = strict_json.decode(raw)
    event = ingest.check(strict_json.parse(text), text)
    if key is None:
        arrival = group().accept(event)
    else:
        arrival = event.arrive(now())
        held = ingest.accept(session(), arrival, source=SOURCE, key=key)
        session().commit()
        if held.duplicate:
            totals.count(EVENTS_INGESTED, SOURCE, "duplicate")
            return accepted_one(held.event_id, duplicate=True)
        publish([wake_events([arrival.id])])
    totals.count(EVENTS_INGESTED, SOURCE, ACCEPTED)
    follow([arrival.id], arrival.accepted_at, SOURCE)
    return accepted_one(arrival.id, duplicate=False)


def _batch(items: Iterable[Item], key: Idempotency | None) -> Response:
    be_patient(BATCH_SECONDS)
    moment = now()
    if key is not None:
        held = idempotency.take(session(), key, uuid7(moment), moment)
        if held is not None:
            return accepted(held.answer or {})
    batch = batches.accept(session(), items, source=SOURCE, now=moment)
    answer = batch.answer()
    if not batch.ids:
        session().rollback()
        if not batch.rejected:
            raise Refusal("the batch holds no event", code="empty_batch")
        return problem(422, "no event of the batch can be accepted", answer["errors"])
    if key is not None:
        idempotency.answer(session(), key, answer)
    session().commit()
    publish(wake_stored(batch.ids))
    totals.count(EVENTS_INGESTED, SOURCE, ACCEPTED, by=len(batch.ids))
    follow(batch.ids, moment, SOURCE)
    if batch.rejected:
        totals.count(INGEST_REJECTED, "batch_item", by=batch.rejected)
    return accepted(answer)
