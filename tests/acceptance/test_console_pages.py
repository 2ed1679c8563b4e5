"""Every page of the console in a real browser: readable, light, accessible, and deaf to what events say."""

from collections.abc import Iterable, Iterator

import pytest
from playwright.sync_api import Browser

from app.cli.local.services import BACKTESTS, CORE
from app.console.navigation import ENTRIES
from tests.acceptance import markup
from tests.acceptance.chromium import NARROW, WIDE, Watch, need_chromium
from tests.acceptance.stack import Stack
from tests.acceptance.visits import Visit, crawl, visit

pytestmark = pytest.mark.acceptance

LIGHT, WITH_EDITOR = 75_000, 220_000
EDITOR = "editor"
# More than a heading, the way back and a button have.
SOME_WORDS = 60
PLACES = {
    "/",
    "/console/events",
    "/console/rules",
    "/console/alerts",
    "/console/alerts/:id",
    "/console/notifications",
    "/console/channels",
    "/console/silences",
    "/console/keys",
    "/console/audit",
    "/console/events/:id",
    "/console/rules/:id",
    "/console/rules/:id/edit",
    "/console/rules/:id/versions",
    "/console/rules/:id/cost",
    "/console/rules/:id/backtests",
    "/console/rules/new",
    "/console/notifications/:id",
    "/console/backtests/:id",
    "/console/channels/:name",
    "/console/channels/:name/delete",
    "/console/channels/new",
    "/console/silences/:id",
    "/console/silences/new",
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    need_chromium()
    with Stack(start=(*CORE, BACKTESTS)) as running:
        yield running


@pytest.fixture(scope="module")
def empty(stack: Stack, chromium: Browser, axe: str) -> tuple[Watch, list[Visit]]:
    """The places of the navigation, before there is anything to show."""
    watch = Watch(stack.api_url)
    looks = (("light", WIDE), ("dark", NARROW))
    return watch, [visit(watch, chromium, path, axe, looks) for path in places(stack)]


@pytest.fixture(scope="module")
def pages(stack: Stack) -> dict[str, list[str]]:
    """The addresses of a full console, by what they are."""
    markup.fill(stack)
    return crawl(stack.api_url)


@pytest.fixture(scope="module")
def full(
    stack: Stack, chromium: Browser, axe: str, pages: dict[str, list[str]]
) -> tuple[Watch, list[Visit]]:
    """One page of each kind, and one that is not there."""
    watch = Watch(stack.api_url)
    found = [visit(watch, chromium, paths[0], axe) for paths in pages.values()]
    found.append(visit(watch, chromium, "/console/nowhere", axe))
    return watch, found


def listed(problems: Iterable[str]) -> str:
    """One a line, to be read."""
    return "\n".join(problems)


def places(stack: Stack) -> list[str]:
    """The addresses of the navigation, by its own page."""
    found = crawl(stack.api_url)
    assert len(found) >= len(ENTRIES)
    return [paths[0] for paths in found.values()]


def test_an_empty_console_is_accessible_and_fits_a_narrow_window(
    empty: tuple[Watch, list[Visit]],
) -> None:
    watch, visits = empty
    assert not listed(watch.problems)
    assert not listed(what for seen in visits for what in seen.findings + seen.too_wide)


def test_links_lead_to_every_page(pages: dict[str, list[str]]) -> None:
    assert PLACES - pages.keys() == set()


def test_every_page_is_accessible_in_both_themes_wide_and_narrow(
    full: tuple[Watch, list[Visit]],
) -> None:
    assert not listed(finding for seen in full[1] for finding in seen.findings)


def test_no_page_is_wider_than_its_window(full: tuple[Watch, list[Visit]]) -> None:
    assert not listed(look for seen in full[1] for look in seen.too_wide)


def test_no_page_complains_breaks_the_policy_or_asks_another_host(
    full: tuple[Watch, list[Visit]],
) -> None:
    assert not listed(full[0].problems)


def test_every_page_has_a_title_of_its_own(full: tuple[Watch, list[Visit]]) -> None:
    titles = [seen.title for seen in full[1]]
    assert all(title.endswith("Sentinel") for title in titles)
    assert len(set(titles)) == len(titles)


def test_every_page_is_light(full: tuple[Watch, list[Visit]]) -> None:
    for one in full[1]:
        editor = any(EDITOR in path for path in one.weights)
        assert one.weight <= (WITH_EDITOR if editor else LIGHT), (one.path, one.weights)


def test_nothing_that_came_from_outside_becomes_markup_on_any_page(
    stack: Stack, chromium: Browser, pages: dict[str, list[str]]
) -> None:
    watch = Watch(stack.api_url)
    context = watch.context(chromium)
    page = context.new_page()
    shown = 0
    for path in [path for paths in pages.values() for path in paths]:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert page.locator(markup.MADE).count() == 0, path
        assert page.evaluate("window.hacked") is None, path
        shown += page.get_by_text(markup.IMAGE).count() > 0
    context.close()
    assert not listed(watch.problems)
    # As text it is there, or nothing was tried.
    assert shown >= len(PLACES) - 2


def test_every_page_can_be_read_without_scripts(
    stack: Stack, chromium: Browser, pages: dict[str, list[str]]
) -> None:
    watch = Watch(stack.api_url)
    context = watch.context(chromium, scripts=False)
    page = context.new_page()
    bare = []
    for path in sorted(PLACES & pages.keys()):
        page.goto(pages[path][0])
        title = page.get_by_role("heading", level=1).inner_text()
        assert title, path
        if len(page.locator("main").inner_text()) < len(title) + SOME_WORDS:
            bare.append(path)
    context.close()
    assert bare == []
    assert not listed(watch.problems)
