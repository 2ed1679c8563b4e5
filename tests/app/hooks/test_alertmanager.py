"""What an Alertmanager shows for itself: a token, or a password behind any name."""

from base64 import b64encode
from datetime import UTC, datetime

import pytest

from app.hooks.alertmanager import SOURCE
from app.hooks.base import Delivery, NotSigned

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Basic",
        "Basic ====",
        "Basic \xe4",
        f"Basic {b64encode(bytes([255])).decode()}",
        "Bearer \xe4",
        "Digest secret-of-another",
    ],
)
def test_an_authorization_that_is_none_is_refused_as_a_wrong_one_is(shown: str) -> None:
    with pytest.raises(NotSigned):
        SOURCE.check(Delivery({"authorization": shown}, b"{}", AT), "secret")
