"""CloudEvents at `POST /events`: structured, binary and in batches, each stored once for its source and id."""

import re
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from flask import Request, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from app.api.answering import accepted, accepted_one
from app.api.auth import caller
from app.api.keeping import keep
from app.api.problems import problem
from app.metrics import INGEST_REJECTED, totals
from app.runtime import runtime
from app.schemas.events import CloudEventIn
from app.services import batches, cloudevents, ingest, json_items
from app.services.batches import Batch
from app.services.cloudevents import BATCH, CONTENT_TYPE, FAMILY, REQUIRED, STRUCTURED
from app.services.errors import Refusal
from app.services.json_items import Item
from app.services.once import Keyed
from app.web.request import body_file, check_content_type, whole_body

PREFIX: Final = "ce-"
# As WSGI has the headers, of which one says that a request is a CloudEvent.
MARKS: Final = {f"HTTP_CE_{name.upper()}" for name in REQUIRED}
SOURCE: Final = "http"
REPLY: Final = "reply"
QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"')
ESCAPED: Final = re.compile(rb"\\(.)")
CONTENT: Final[dict[str, Any]] = {
    STRUCTURED: {"schema": CloudEventIn},
    BATCH: {"schema": {"type": "array", "items": CloudEventIn}},
}


def came(req: Request) -> bool:
    """Whether a request's headers say that it holds CloudEvents."""
    return req.mimetype.startswith(FAMILY) or not MARKS.isdisjoint(req.environ)


def accept() -> Response:
    """Store what came, and answer after the commit."""
    check_content_type(request, request.mimetype)
    settings = runtime().settings
    if request.mimetype == BATCH:
        with body_file(request, settings.max_batch) as body:
            return _batch(json_items.items(body, settings.max_body))
    raw = whole_body(request, settings.max_body)
    unwrapped = cloudevents.unwrap(_headers(), raw, PREFIX) or b""
    if len(unwrapped) > settings.max_body:
        raise RequestEntityTooLarge
    item = batches.read(unwrapped, settings.max_body)
    [kept] = keep([_keyed(item)], owner=_owner(), source=SOURCE)
    return accepted_one(kept.event_id, kept.duplicate, bare=_takes_replies())


def _takes_replies() -> bool:
    """Whether whoever asks takes the body of an answer for an event, as brokers of Knative do."""
    said = request.headers.get("Prefer", "").split(",")
    return REPLY in (one.partition(";")[0].strip().lower() for one in said)


def _headers() -> list[tuple[str, bytes]]:
    """The attributes, decoded as the protocol's binding has it, and the data's type."""
    found = [(name.lower(), value.encode("latin-1")) for name, value in request.headers.items()]
    attributes = [(name, _decoded(raw)) for name, raw in found if name.startswith(PREFIX)]
    return [*attributes, *(one for one in found if one[0] == CONTENT_TYPE)]


def _decoded(raw: bytes) -> bytes:
    """Out of quotes, in which older senders write, and percent-decoded."""
    quoted = QUOTED.fullmatch(raw)
    return unquote_to_bytes(ESCAPED.sub(rb"\1", quoted[1]) if quoted else raw)


def _batch(items: Any) -> Response:
    """As any other batch, but for those that came before: they have their first id."""
    batch, good = Batch(), list[Keyed]()
    for index, item in enumerate(items):
        try:
            good.append(_keyed(item))
        except Refusal as error:
            batch.reject(index, error)
    if not good and not batch.rejected:
        raise Refusal("the batch holds no event", code="empty_batch")
    kept = keep(good, owner=_owner(), source=SOURCE)
    batch.ids = [str(one.event_id) for one in kept]
    if batch.rejected:
        totals.count(INGEST_REJECTED, "batch_item", by=batch.rejected)
    answer = batch.answer()
    if not good:
        return problem(422, "no event of the batch can be accepted", answer["errors"])
    return accepted(answer)


def _keyed(item: Item) -> Keyed:
    if isinstance(item, Refusal):
        raise item
    text, value = item
    cloudevents.check(value)
    return Keyed(ingest.check(value, text), cloudevents.key(value))


def _owner() -> str:
    return f"cloudevents:{caller().key_id or ''}"
