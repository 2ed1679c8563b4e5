"""The kinds of problems: what the `type` of a problem document points to, on the instance that answers."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

PAGE: Final = "/docs/problems"
# RFC 9457: no more is to be said than what the status says.
NOTHING_MORE: Final = "about:blank"


@dataclass(frozen=True)
class Kind:
    """One kind of problem: its name, for as long as the API lives, and what to do about it."""

    slug: str
    status: HTTPStatus
    meaning: str
    remedy: str

    @property
    def type(self) -> str:
        """The `type` of its documents, relative to the instance."""
        return f"{PAGE}#{self.slug}"


KINDS: Final = (
    Kind(
        "bad-request",
        HTTPStatus.BAD_REQUEST,
        "The request cannot be read: no well-formed HTTP, no JSON, JSON with a key twice or nested too deep, a body "
        "that does not arrive whole, or a Host that is not served here.",
        "Mend what `detail` names; the same request will be refused again.",
    ),
    Kind(
        "unauthorized",
        HTTPStatus.UNAUTHORIZED,
        "The call has no key, or one that is not valid or was revoked.",
        "Send `Authorization: Bearer KEY`; `./sentinel key create NAME --scope SCOPE` makes one.",
    ),
    Kind(
        "forbidden",
        HTTPStatus.FORBIDDEN,
        "The key is valid, and lacks the scope that this call needs.",
        "Use a key with the scope that `detail` names.",
    ),
    Kind(
        "not-found",
        HTTPStatus.NOT_FOUND,
        "There is nothing at this path, or no longer.",
        "Look at the id or the name; the list above it has all there are.",
    ),
    Kind(
        "method-not-allowed",
        HTTPStatus.METHOD_NOT_ALLOWED,
        "The path exists, and not for this method.",
        "Use one of the methods in the header `Allow`.",
    ),
    Kind(
        "conflict",
        HTTPStatus.CONFLICT,
        "What is there already does not allow it: a name that is taken, a thing that has ended.",
        "Look at the thing as it is now, and decide again.",
    ),
    Kind(
        "stale-version",
        HTTPStatus.PRECONDITION_FAILED,
        "Somebody changed the thing after the version in `If-Match`; nothing was overwritten.",
        "Read it again, make the change to what is there now, and send its new `ETag`.",
    ),
    Kind(
        "too-large",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "The body is larger than is accepted.",
        "Send less at once; the limits are `SENTINEL_MAX_BODY` and `SENTINEL_MAX_BATCH`.",
    ),
    Kind(
        "uri-too-long",
        HTTPStatus.REQUEST_URI_TOO_LONG,
        "The request line is too long.",
        "Put less into the query; a long condition is a rule.",
    ),
    Kind(
        "unsupported-media-type",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "The body is of a type that this call does not take, is compressed, or is not UTF-8.",
        "Send the `Content-Type` that `detail` names, uncompressed.",
    ),
    Kind(
        "expectation-failed",
        HTTPStatus.EXPECTATION_FAILED,
        "The header `Expect` asks for something that is not done here.",
        "Leave it out, or send `100-continue`.",
    ),
    Kind(
        "invalid",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The request can be read, and says something that is not allowed.",
        "Each of `errors` has a JSON pointer to the place, the reason in words, and a `code`; mend them all.",
    ),
    Kind(
        "rate-limited",
        HTTPStatus.TOO_MANY_REQUESTS,
        "The key, or the address where there is none, has called too often.",
        "Wait the seconds in `Retry-After`; send events in batches.",
    ),
    Kind(
        "headers-too-large",
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "The header fields are too many or too long.",
        "Send fewer; what is data belongs into the body.",
    ),
    Kind(
        "internal-error",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong in Sentinel. The fault is not the request's.",
        "Search the log for the `request_id`, and report it.",
    ),
    Kind(
        "not-implemented",
        HTTPStatus.NOT_IMPLEMENTED,
        "The request uses a transfer coding other than `chunked`.",
        "Send a `Content-Length`, or chunks.",
    ),
    Kind(
        "unavailable",
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database does not answer, or there is no room for a body of this size. Nothing is promised; where the "
        "answer to a commit was lost, the event is stored all the same.",
        "Send it again after `Retry-After`, with an `Idempotency-Key` so that it is stored once. "
        "`./sentinel doctor` says what is down.",
    ),
)
_TYPES: Final = {kind.status: kind.type for kind in KINDS}


def type_of(status: int) -> str:
    """The `type` of a problem document with that status."""
    return _TYPES.get(HTTPStatus(status), NOTHING_MORE)
