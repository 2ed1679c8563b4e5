"""The documentation's site, built as a reader gets it, without a network."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from app.cli.local.home import CHECKOUT
from tests.acceptance.chromium import Watch, need_chromium, started

pytestmark = pytest.mark.acceptance
ALERTS = CHECKOUT / "deploy" / "prometheus" / "alerts.yml"
# What a page fetches by itself, at another host.
FETCHED = re.compile(r"<(?:script|link|img|iframe|source)[^>]*\s(?:src|href)=\"?(?:https?:)?//")
FROM_STYLES = re.compile(r"(?:@import|url\()\s*[\"']?(?:https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `mkdocs build --strict` has written: every page in the navigation, no link broken."""
    folder = tmp_path_factory.mktemp("site") / "html"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    # Nothing answers there: whoever wanted the network would fail.
    nowhere = "http://127.0.0.1:9"
    env = {**os.environ, "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Where any server of files serves it."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def test_each_alert_has_its_runbook_where_a_link_to_the_site_leads(site: Path) -> None:
    page = (site / "operations.html").read_text(encoding="utf-8")
    linked = re.findall(r"runbook_url: .*#(\w+)", ALERTS.read_text(encoding="utf-8"))
    assert linked
    assert [name for name in linked if f'id="{name}"' not in page] == []


def test_the_site_has_every_page_and_loads_nothing_from_another_host(site: Path) -> None:
    pages = {str(page.relative_to(site)) for page in site.rglob("*.html")}
    docs = CHECKOUT / "docs"
    assert pages >= {
        str(page.relative_to(docs).with_suffix(".html")) for page in docs.rglob("*.md")
    }
    assert pages >= {"index.html", "api.html", "changelog.html"}
    for page in pages:
        assert not FETCHED.findall((site / page).read_text(encoding="utf-8")), page
    for style in site.rglob("*.css"):
        assert not FROM_STYLES.findall(style.read_text(encoding="utf-8")), style


def test_the_sites_reference_of_the_api_names_every_call(site: Path) -> None:
    text = (site / "api.html").read_text(encoding="utf-8")
    for call in ("POST /events", "GET /events/{event_id}/trace", "DELETE /rules/{rule_id}"):
        assert f"<code>{call}</code>" in text


def test_the_site_is_searched_without_a_network(address: str) -> None:
    need_chromium()
    with started() as browser:
        watch = Watch(address)
        page = watch.context(browser).new_page()
        page.goto(f"{address}/index.html")
        words = page.get_by_role("textbox", name="Search")
        words.click()
        # The index is read once somebody wants it.
        expect(page.locator(".md-search-result__meta")).to_have_text("Type to start searching")
        words.press_sequentially("idempotency")
        found = page.locator(".md-search-result__item", has_text="Idempotency-Key").first
        expect(found).to_be_visible()
        assert watch.problems == []
