"""A browser without scripts: keeps cookies, follows redirects, and sends the forms that a page shows."""

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

ORIGIN = "http://localhost"


@dataclass
class Browser:
    """One browser; `page` is what it shows."""

    app: Flask
    page: TestResponse | None = None

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def open(self, path: str, status: int = 200) -> str:
        """Go to a page; its HTML."""
        self.page = self.client.get(path, follow_redirects=True)
        assert self.page.status_code == status, self.page.text
        return self.page.text

    def part(self, path: str, status: int = 200) -> str:
        """What a script fetches: a part of a page."""
        answer = self.client.get(path, headers={"HX-Request": "true"})
        assert answer.status_code == status, answer.text
        return answer.text

    def send(self, action: str, *, status: Any = 200, **fields: Any) -> str:
        """Send the form of the current page with this action; the page that comes of it."""
        assert self.page is not None
        assert f'action="{action}"' in unescape(self.page.text), f"no form sends to {action}"
        self.page = self.client.post(
            action,
            data={"csrf": self.token, **fields},
            headers={"Origin": ORIGIN},
            follow_redirects=True,
        )
        assert self.page.status_code == status, self.page.text
        return self.page.text

    @property
    def token(self) -> str:
        """What the current page's forms carry."""
        assert self.page is not None
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', self.page.text)
        assert found, "the page has no form"
        return found[1]

    def sign_in(self, key: str) -> str:
        """Show a key at the gate."""
        self.open("/console/sign-in")
        assert self.page is not None
        self.page = self.client.post(
            "/console/sign-in",
            data={"csrf": self.token, "key": key},
            headers={"Origin": ORIGIN},
            follow_redirects=True,
        )
        return self.page.text
