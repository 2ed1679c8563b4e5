"""All pages of a console that links lead to, and what a browser finds on each."""

import re
from collections import defaultdict
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from playwright.sync_api import Browser, Page, Response

from tests.acceptance.chromium import HEIGHT, NARROW, WIDE, Watch, overflow
from tests.acceptance.markup import MADE

LINK: Final = re.compile(r"""<a\s[^>]*?href="([^"]+)["]""")
ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What a name in an address has and a word of ours never: `/channels/slack:big%20orders`.
NAMED: Final = re.compile(r"/[^/]*[%:][^/]*")
EACH: Final = 3
MOST: Final = 150
LOOKS: Final = tuple((scheme, width) for width in (WIDE, NARROW) for scheme in ("light", "dark"))
AUDIT: Final = """async () => {
    const rules = { "target-size": { enabled: true } };
    const { violations } = await axe.run(document, { resultTypes: ["violations"], rules });
    return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).flatMap(({ id, nodes }) =>
        nodes.map(({ target, any }) => `${id}: ${target} ${any.map(({ message }) => message).join(" ")}`));
}"""


@dataclass
class Visit:
    """One page, and what was seen of it."""

    path: str
    title: str = ""
    weights: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    too_wide: list[str] = field(default_factory=list)
    made: int = 0
    hacked: Any = None

    @property
    def weight(self) -> int:
        """Bytes as they were transferred, of the page and all that it asked for."""
        return sum(self.weights.values())


def kind(path: str) -> str:
    """What pages of one kind have in common: `/console/alerts/:id`."""
    return ID.sub(":id", NAMED.sub("/:name", urlsplit(path).path))


def crawl(base: str) -> dict[str, list[str]]:
    """The addresses that links lead to from the first page on, some of each kind and view."""
    found: dict[str, list[str]] = defaultdict(list)
    waiting, seen = ["/"], {"/"}
    while waiting:
        path = waiting.pop(0)
        answer = requests.get(base + path, timeout=30)
        assert answer.status_code == 200, (path, answer.status_code)
        if not answer.headers["Content-Type"].startswith("text/html"):
            continue
        found[kind(path)].append(path)
        for link in map(unescape, LINK.findall(answer.text)):
            if _ours(link) and link not in seen and _wanted(link, found, waiting):
                seen.add(link)
                waiting.append(link)
        assert len(seen) < MOST, sorted(seen)
    return {name: paths for name, paths in found.items() if paths}


def visit(watch: Watch, browser: Browser, path: str, axe: str | None, looks: Any = LOOKS) -> Visit:
    """Open a page by a browser that has never been here, and look at it in each theme and width."""
    seen, answers = Visit(path), list[Response]()
    context = watch.context(browser)
    page = context.new_page()
    page.on("response", lambda answer: answers.append(answer))
    page.goto(path)
    page.wait_for_load_state("networkidle")
    seen.title = page.title()
    seen.weights = {urlsplit(one.url).path: _size(one) for one in answers}
    if axe is not None:
        page.evaluate(axe)
    for scheme, width in looks:
        _look(page, seen, scheme, width, audited=axe is not None)
    seen.made = page.locator(MADE).count()
    seen.hacked = page.evaluate("window.hacked")
    context.close()
    return seen


def _look(page: Page, seen: Visit, scheme: Any, width: int, audited: bool) -> None:
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size({"width": width, "height": HEIGHT})
    look = f"{seen.path} ({scheme}, {width} px)"
    if wider := overflow(page):
        seen.too_wide.append(f"{look}: {wider} px")
    if audited:
        seen.findings += [f"{look}: {finding}" for finding in page.evaluate(AUDIT)]


def _size(answer: Response) -> int:
    sizes = answer.request.sizes()
    return int(sizes["responseBodySize"])


def _ours(link: str) -> bool:
    return link == "/" or link.startswith("/console")


def _wanted(link: str, found: dict[str, list[str]], waiting: list[str]) -> bool:
    alike = [one for one in (*found[kind(link)], *waiting) if kind(one) == kind(link)]
    plain = [one for one in alike if not urlsplit(one).query]
    # Views of a list are pages of their own; of things a few are enough.
    return len(alike) < 3 * EACH if urlsplit(link).query else len(plain) < EACH
