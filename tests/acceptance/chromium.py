"""Debian's Chromium for a test, and a watch over every page that it shows."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    Response,
    WebError,
    expect,
    sync_playwright,
)

PROGRAM: Final = "/usr/bin/chromium"
# It is to speak with nobody but us, and a container has no sandbox for it.
ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE: Final = 30_000
WIDE: Final = 1400
NARROW: Final = 400
HEIGHT: Final = 900
TOLD: Final = """
    document.addEventListener("securitypolicyviolation", (event) =>
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`))
"""
# Chromium's line about an answer that is an error; the watch sees the answer itself.
ANSWERED: Final = "Failed to load resource: the server responded with a status of"


def need_chromium() -> None:
    """Skip where there is none; in CI there must be one."""
    if not Path(PROGRAM).exists() and not os.environ.get("CI"):
        pytest.skip("needs Chromium: apt-get install chromium")


@contextmanager
def started() -> Iterator[Browser]:
    """A running Chromium without a window."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """What no page may do: complain, break the policy, ask another host, or ask for what is not there."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.problems: list[str] = []
        self._host = urlsplit(base).netloc

    def context(
        self, browser: Browser, width: int = WIDE, scripts: bool = True, scheme: str = "light"
    ) -> BrowserContext:
        """A browser's memory of its own, all of whose pages are watched."""
        made = browser.new_context(
            base_url=self.base,
            viewport={"width": width, "height": HEIGHT},
            java_script_enabled=scripts,
            color_scheme="dark" if scheme == "dark" else "light",
            reduced_motion="reduce",
        )
        made.set_default_timeout(PATIENCE)
        made.add_init_script(TOLD)
        made.on("console", self._console)
        made.on("weberror", self._error)
        made.on("request", self._request)
        made.on("response", self._response)
        return made

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(ANSWERED):
            self._note(f"console: {message.text}", message.location.get("url", ""))

    def _error(self, error: WebError) -> None:
        self._note(f"script: {error.error}", error.page.url if error.page else "")

    def _request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.netloc != self._host:
            self._note("another host", request.url)

    def _response(self, response: Response) -> None:
        # Of a page itself the test sees it; a part, a script or a picture must be there.
        if response.status >= 400 and not response.request.is_navigation_request():
            self._note(f"answered {response.status}", response.url)

    def _note(self, what: str, where: str) -> None:
        self.problems.append(f"{what} ({where})")


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    return int(
        page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    )
