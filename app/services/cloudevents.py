"""CloudEvents 1.0: the one JSON object that rules read, whichever way an event was sent.

Structured, the object is the event as it is. Binary, its attributes are headers and the message is its data; they are
put together as they would stand in a structured one, the data's own text untouched.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.services import strict_json
from app.services.errors import Refusal

Headers = Sequence[tuple[str, bytes | None]]

VERSION: Final = "1.0"
REQUIRED: Final = ("specversion", "id", "source", "type")
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
FAMILY: Final = "application/cloudevents"
CONTENT_TYPE: Final = "content-type"
JSON_TYPE: Final = re.compile(r"(application|text)/json|[^/]+/[^/]+\+json")
NAME: Final = re.compile(r"[a-z0-9]+")


def unwrap(headers: Headers, raw: bytes, prefix: str) -> bytes | None:
    """The JSON of a message whose headers say that it is a CloudEvent; None where they do not.

    `prefix` is what the protocol puts before the names of attributes. Raises `Refusal`.
    """
    texts = [(name, _text(value)) for name, value in headers if _concerns(name, prefix)]
    full = next((text for name, text in texts if name.lower() == CONTENT_TYPE), "")
    content = full.partition(";")[0].strip().lower()
    if content.startswith(FAMILY):
        if content != STRUCTURED:
            raise Refusal(f"of CloudEvents only {STRUCTURED} is read", code="bad_content_type")
        return raw
    names = {name for name, _ in texts}
    if not any(prefix + name in names for name in REQUIRED):
        return None
    members = [
        _member(name.removeprefix(prefix), text) for name, text in texts if name.startswith(prefix)
    ]
    if full:
        members.append(f'"datacontenttype":{json.dumps(full)}')
    return f"{{{','.join([*members, *_data(content, raw)])}}}".encode()


def key(event: Mapping[str, Any]) -> str:
    """What two that are the same share, as the specification has it."""
    return json.dumps([event["source"], event["id"]])


def check(value: Any) -> None:
    """Whether an object that says it is a CloudEvent is one; raises `Refusal`."""
    if not isinstance(value, dict):
        raise Refusal("a CloudEvent is a JSON object", code="no_object")
    for name in REQUIRED:
        if not isinstance(value.get(name), str) or not value[name]:
            raise Refusal(
                "is required of a CloudEvent: a text", pointer=f"/{name}", code="no_cloudevent"
            )
    if value["specversion"] != VERSION:
        raise Refusal(f"is not {VERSION}", pointer="/specversion", code="no_cloudevent")
    if "data" in value and "data_base64" in value:
        raise Refusal("is there beside data", pointer="/data_base64", code="no_cloudevent")


def _concerns(name: str, prefix: str) -> bool:
    return name.startswith(prefix) or name.lower() == CONTENT_TYPE


def _text(value: bytes | None) -> str:
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        raise Refusal("a header is not UTF-8", code="bad_encoding") from None


def _member(name: str, text: str) -> str:
    if not NAME.fullmatch(name) or name == "data":
        raise Refusal("a header names no attribute of CloudEvents", code="no_cloudevent")
    return f"{json.dumps(name)}:{json.dumps(text)}"


def _data(content: str, raw: bytes) -> Iterator[str]:
    """The member that holds the message."""
    if not raw:
        return
    if not content or JSON_TYPE.fullmatch(content):
        text = strict_json.decode(raw)
        # A whole value and nothing behind it, or it could add attributes of its own.
        strict_json.parse(text)
        yield f'"data":{text}'
    elif content.startswith("text/"):
        yield f'"data":{json.dumps(strict_json.decode(raw))}'
    else:
        yield f'"data_base64":"{b64encode(raw).decode()}"'
