"""GitHub: `X-Hub-Signature-256` signs the body; the event is named by a header and the body's `action`."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from app.hooks.base import Delivery, Heard, NotUnderstood, Source, moment_of
from app.hooks.signatures import check_same, hex_hmac

SIGNATURE: Final = "X-Hub-Signature-256"
PREFIX: Final = "sha256="


class GitHub(Source):
    """Webhooks of repositories, organizations and apps, with the content type `application/json`."""

    name = "github"
    label = "GitHub"

    def check(self, delivery: Delivery, secret: str) -> None:
        check_same(PREFIX + hex_hmac(secret, delivery.body), [delivery.header(SIGNATURE)])

    def sign(self, delivery: Delivery, secret: str) -> Mapping[str, str]:
        return {SIGNATURE: PREFIX + hex_hmac(secret, delivery.body)}

    def events(self, delivery: Delivery, payload: Mapping[str, Any]) -> Sequence[Heard]:
        event = delivery.headers.get("x-github-event", "")
        if not event:
            raise NotUnderstood("the header X-GitHub-Event is missing")
        action = payload.get("action")
        type_ = f"github.{event}.{action}" if isinstance(action, str) else f"github.{event}"
        # A redelivery has the delivery's id.
        key = delivery.headers.get("x-github-delivery") or hashlib.sha256(delivery.body).hexdigest()
        return [Heard(type_, key, payload, _time(event, payload))]


def _time(event: str, payload: Mapping[str, Any]) -> datetime | None:
    """When it happened: of a push the repository says it, else the last change of what it is about."""
    if payload.get("action") == "deleted":
        # That is none: an app that is removed was last changed when somebody installed it.
        return None
    name, member = ("repository", "pushed_at") if event == "push" else (event, "updated_at")
    # Of the others whose thing has another name it is not told.
    about = payload.get("issue" if event == "issues" else name)
    return moment_of(about.get(member)) if isinstance(about, Mapping) else None


SOURCE = GitHub()
