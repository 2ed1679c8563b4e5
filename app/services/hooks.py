"""Deliveries of webhooks: who sent them, and which events they are."""

import json
from collections.abc import Sequence
from typing import Final

from app.hooks.base import Delivery, Heard, NotSigned, NotUnderstood, Source
from app.hooks.secrets import Secrets
from app.services import ingest, strict_json
from app.services.errors import Refusal
from app.services.once import Keyed

# Of all events of a delivery; each has the bounds of any other.
MOST_VALUES: Final = 1_000_000


class NotAllowed(Refusal):
    """A delivery that nobody has signed who may."""

    status = 403


class TooLarge(Refusal):
    """A delivery with an event that is larger than one may be."""

    status = 413
    code = "too_large"


def required(source: Source, known: Secrets) -> Sequence[str]:
    """The secrets of a source; raises `NotAllowed` where it has none."""
    secrets = known.get(source.name, ())
    if not secrets:
        raise NotAllowed(
            f"{source.label} has no secret here: set SENTINEL_HOOK_SECRETS to {source.name}=<secret>",
            code="no_secret",
        )
    return secrets


def check(source: Source, delivery: Delivery, secrets: Sequence[str]) -> None:
    """Refuse what none of the secrets has signed; raises `NotAllowed`."""
    told = ""
    for secret in secrets:
        try:
            return source.check(delivery, secret)
        except NotSigned as error:
            told = str(error)
    raise NotAllowed(told, code="bad_signature")


def events(
    source: Source, delivery: Delivery, longest: int, together: int
) -> tuple[list[Keyed], Refusal | None]:
    """The events of a signed delivery, each of `longest` bytes at most, and all of `together`; raises `Refusal`.

    Beside them why others of the same delivery cannot be stored, if there are any: who sends alerts sends nothing
    again that was refused, and the others shall not be lost with them.
    """
    most = MOST_VALUES if source.batches else strict_json.MAX_NODES
    payload = strict_json.parse(strict_json.decode(delivery.body), most)
    if not isinstance(payload, dict):
        raise Refusal("the body is no JSON object", code="no_object")
    try:
        heard = source.events(delivery, payload)
    except NotUnderstood as error:
        raise Refusal(str(error), code="not_understood") from None
    found, refused, size = list[Keyed](), list[Refusal](), 0
    for one in heard:
        try:
            found.append(keyed(one, longest))
        except Refusal as refusal:
            refused.append(refusal)
            continue
        # Each has what its group says once: a small body may tell of very much.
        size += len(found[-1].event.text)
        if size > together:
            raise TooLarge(f"its events are larger than {together} characters together")
    return found, _of_several(refused, len(heard)) if refused else None


def _of_several(refused: Sequence[Refusal], count: int) -> Refusal:
    """The first refusal, which says how many there are where others are stored."""
    first = refused[0]
    if len(refused) < count:
        many = f"{len(refused)} of its {count} events cannot be stored, the others are"
        first.detail = f"{many}: {first.detail}"
    return first


def keyed(one: Heard, longest: int) -> Keyed:
    """An event that was heard, as any other that comes in; raises `Refusal`."""
    text = json.dumps(one.body(), ensure_ascii=False, separators=(",", ":"))
    if len(text.encode()) > longest:
        raise TooLarge(f"an event is larger than {longest} bytes")
    return Keyed(ingest.check(strict_json.parse(text), text), one.key)
