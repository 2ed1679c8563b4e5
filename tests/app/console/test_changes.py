"""Where nobody signs in, a change still comes from a page of ours, or is refused."""

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from flask import Flask

from app.console.door import OPEN
from tests.app.console.browser import ORIGIN, Browser

FOREIGN = {"Origin": "http://evil.example"}


def changing(app: Flask) -> Iterator[str]:
    """Each address that takes a form."""
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("console.") and "POST" in (rule.methods or ()):
            yield re.sub(r"<(?:\w+:)?\w+>", str(uuid4()), rule.rule)


@pytest.mark.parametrize(
    ("headers", "token"),
    [({"Origin": ORIGIN}, ""), ({"Origin": ORIGIN}, "0" * 64), (FOREIGN, None)],
)
def test_no_form_is_taken_without_its_token_or_from_elsewhere(
    app: Flask, browser: Browser, headers: dict[str, str], token: str | None
) -> None:
    browser.open("/console/silences/new")
    asked = 0
    for url in changing(app):
        data = {"csrf": browser.token if token is None else token}
        answer = browser.client.post(url, data=data, headers=headers)
        assert answer.status_code == 403, url
        asked += 1
    assert asked > 20


def test_every_page_says_what_it_may_run_and_is_kept_nowhere(app: Flask, browser: Browser) -> None:
    asked = 0
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("console.") or rule.endpoint in OPEN:
            continue
        answer = browser.client.get(re.sub(r"<(?:\w+:)?\w+>", str(uuid4()), rule.rule))
        if answer.mimetype == "text/html":
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; "), rule.rule
            assert "unsafe" not in policy
            assert answer.headers["Cache-Control"] == "no-store", rule.rule
            asked += 1
    assert asked > 20
