"""Standard Webhooks, under each name that its headers have."""

from datetime import UTC, datetime

import pytest
from svix import Webhook

from app.hooks.base import Delivery, NotSigned
from app.hooks.generic import SOURCE

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = b'{"type": "user.created"}'


def delivery(name: str, number: str) -> Delivery:
    """Signed as the first message, and said to be that of a number."""
    headers = {
        f"{name}-id": number,
        f"{name}-timestamp": str(int(AT.timestamp())),
        f"{name}-signature": Webhook(SECRET).sign("msg_1", AT, BODY.decode()),
    }
    return Delivery(headers, BODY, AT)


@pytest.mark.parametrize("name", ["webhook", "svix"])
def test_the_headers_may_have_svixs_names(name: str) -> None:
    SOURCE.check(delivery(name, "msg_1"), SECRET)
    with pytest.raises(NotSigned):
        SOURCE.check(delivery(name, "msg_2"), SECRET)
    assert [one.key for one in SOURCE.events(delivery(name, "msg_1"), {})] == ["msg_1"]
