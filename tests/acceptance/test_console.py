"""The console as people use it, in a real browser on a real Sentinel: by keys, by clicks, and at its gate."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from app.clock import system_clock
from app.console.navigation import ENTRIES
from app.services import keys
from bench.stateful.filling import opened
from tests.acceptance import markup
from tests.acceptance.chromium import HEIGHT, NARROW, WIDE, Watch, need_chromium, overflow
from tests.acceptance.receiver import Answer
from tests.acceptance.stack import Stack
from tests.acceptance.test_spine import settled
from tests.acceptance.visits import visit

pytestmark = pytest.mark.acceptance

ENV = {"SENTINEL_RETRY_BASE": "0.2", "SENTINEL_RETRY_ATTEMPTS": "2"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    need_chromium()
    with Stack(env=ENV) as running:
        yield running


@pytest.fixture(scope="module")
def guarded() -> Iterator[Stack]:
    """One that asks for keys."""
    with Stack(env={"SENTINEL_AUTH": "keys"}, start=("api",)) as running:
        yield running


@pytest.fixture(autouse=True)
def quiet_receiver(stack: Stack) -> None:
    stack.receiver.heard.clear()
    stack.receiver.answer = lambda _heard: Answer()


@pytest.fixture
def page(stack: Stack, chromium: Browser) -> Iterator[Page]:
    """A new browser's page, which may not complain."""
    yield from watched(stack, chromium)


@pytest.fixture
def gate(guarded: Stack, chromium: Browser) -> Iterator[Page]:
    """The same, where a key is asked for."""
    yield from watched(guarded, chromium)


def watched(stack: Stack, chromium: Browser, scripts: bool = True) -> Iterator[Page]:
    watch = Watch(stack.api_url)
    context = watch.context(chromium, scripts=scripts)
    yield context.new_page()
    context.close()
    assert watch.problems == []


def path_of(page: Page) -> str:
    return urlsplit(page.url).path


def heading(page: Page, name: str) -> None:
    """Wait for the page of this name."""
    expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()


def press(page: Page, *keys: str) -> None:
    """Press keys of the page, which it knows once its script has run: a heading is there before."""
    expect(page.locator("html.scripted")).to_be_attached()
    for key in keys:
        page.keyboard.press(key)


def test_g_and_a_letter_goes_to_each_place(page: Page) -> None:
    page.goto("/console/alerts")
    for entry in ENTRIES:
        press(page, "g", entry.key)
        heading(page, entry.label)


def test_a_letter_typed_into_a_field_is_a_letter(page: Page) -> None:
    page.goto("/console/alerts")
    press(page, "/")
    search = page.get_by_role("searchbox", name="Search")
    expect(search).to_be_focused()
    page.keyboard.type("g r?")
    expect(search).to_have_value("g r?")
    assert path_of(page) == "/console/alerts"
    search.fill("alerts")
    page.keyboard.press("Enter")
    page.get_by_role("main").get_by_role("link", name="Alerts").click()
    heading(page, "Alerts")


def test_a_question_mark_lists_the_keys_and_escape_closes_them(page: Page) -> None:
    page.goto("/")
    press(page, "?")
    listed = page.get_by_role("dialog", name="Keys")
    expect(listed).to_be_visible()
    for entry in ENTRIES:
        expect(listed.get_by_role("definition").filter(has_text=entry.label)).to_be_visible()
    press(page, "g", "r")
    assert path_of(page) == "/"
    page.keyboard.press("Escape")
    expect(listed).to_be_hidden()


def test_keys_without_control_can_be_switched_off_and_on_again(page: Page) -> None:
    page.goto("/console/alerts")
    press(page, "?")
    wanted = page.get_by_role("checkbox", name="Use keys without Ctrl")
    wanted.uncheck()
    page.keyboard.press("Escape")
    page.goto("/console/rules")
    press(page, "g", "a")
    press(page, "?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_hidden()
    assert path_of(page) == "/console/rules"
    press(page, "Control+K")
    expect(page.get_by_role("combobox", name="Jump to")).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Keys").click()
    expect(wanted).not_to_be_checked()
    wanted.check()
    page.keyboard.press("Escape")
    press(page, "g", "a")
    heading(page, "Alerts")


def test_control_k_jumps_to_what_is_typed(page: Page) -> None:
    page.goto("/")
    press(page, "Control+K")
    expect(page.get_by_role("combobox", name="Jump to")).to_be_focused()
    options = page.get_by_role("option")
    for entry in ENTRIES:
        expect(options.filter(has_text=entry.label).first).to_be_visible()
    page.keyboard.type("silen")
    expect(options.first).to_contain_text("Silences")
    page.keyboard.press("Enter")
    heading(page, "Silences")


def test_arrows_walk_through_what_is_found(page: Page) -> None:
    page.goto("/")
    press(page, "Control+K")
    options = page.get_by_role("option")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    heading(page, ENTRIES[1].label)


def test_the_chosen_theme_stays_and_comes_without_a_flash(page: Page) -> None:
    page.goto("/console/alerts")
    before = background(page)
    page.get_by_role("button", name="Switch between light and dark").click()
    chosen = background(page)
    assert chosen != before
    page.reload()
    assert background(page) == chosen
    # The server draws it, so that no script has to come first.
    assert page.locator("html").get_attribute("data-theme") == "dark"


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_an_open_console_tells_that_the_database_is_away_and_when_it_is_back(
    chromium: Browser,
) -> None:
    with Stack(start=("api",)) as alone:
        for page in watched(alone, chromium):
            page.goto("/")
            heading(page, "Overview")
            alone.processes["postgres"].kill()
            told = page.get_by_text("The database does not answer.")
            expect(told).to_be_visible()
            page.goto("/console/alerts")
            expect(told).to_be_visible()
            heading(page, "Service Unavailable")
            page.goto("/")
            alone.start("postgres")
            expect(told).to_be_hidden()


def test_the_gate_opens_to_an_admin_key_and_closes_again(gate: Page, guarded: Stack) -> None:
    gate.goto("/console/alerts?view=all")
    heading(gate, "Sign in")
    gate.keyboard.type("snt_wrong")
    gate.keyboard.press("Enter")
    expect(gate.get_by_role("alert")).to_contain_text("no admin key")
    gate.get_by_label("Admin key").fill(admin_key(guarded))
    gate.get_by_role("button", name="Sign in").click()
    heading(gate, "Alerts")
    gate.get_by_role("button", name="Sign out").click()
    heading(gate, "Sign in")
    gate.goto("/console/alerts")
    heading(gate, "Sign in")


def test_the_gate_is_accessible_and_fits_a_narrow_window(
    guarded: Stack, chromium: Browser, axe: str
) -> None:
    watch = Watch(guarded.api_url)
    seen = visit(watch, chromium, "/", axe)
    assert "Sign in" in seen.title
    assert seen.findings + seen.too_wide + watch.problems == []


def test_the_gate_opens_without_scripts_too(guarded: Stack, chromium: Browser) -> None:
    for page in watched(guarded, chromium, scripts=False):
        page.goto("/")
        page.get_by_label("Admin key").fill(admin_key(guarded))
        page.get_by_role("button", name="Sign in").click()
        heading(page, "Overview")


def test_a_rule_written_by_keys_alone_fires_in_the_tail_and_its_alert_is_acknowledged(
    page: Page, stack: Stack
) -> None:
    page.goto("/")
    press(page, "g", "r")
    heading(page, "Rules")
    press(page, "n")
    heading(page, "New rule")
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    expect(page.locator(".cm-content")).to_be_visible()
    page.keyboard.type("Big orders")
    page.keyboard.press("Tab")
    target = f"webhook:{stack.receiver.url}/orders"
    page.keyboard.type(f'when type == "order" and amount > 500 then notify("{target}")')
    page.keyboard.press("Control+Enter")
    heading(page, "Big orders")

    press(page, "g", "e")
    heading(page, "Events")
    page.get_by_role("link", name="Live").click()
    event = {"type": "order", "amount": 750, "user": "ada"}
    assert stack.post("/events", event).status_code == 202
    page.get_by_role("region", name="Events").get_by_role("link", name="order", exact=True).click()

    heading(page, "order")
    fired = page.get_by_role("region", name="Fired")
    expect(fired).to_contain_text("Big orders")
    expect(fired).to_contain_text("amount > 500")
    expect(fired).to_contain_text("amount was 750")
    [heard] = stack.receiver.wait_for(1)
    assert heard.json["data"]["event"]["body"] == event
    fired.get_by_role("link", name="Alert").click()

    heading(page, "Big orders")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status").first).to_contain_text("Acknowledged")
    [alert] = stack.get("/alerts").json()["data"]
    assert alert["state"] == "acknowledged"


def test_a_rule_that_was_typed_and_not_saved_is_not_left_without_a_question(page: Page) -> None:
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.goto("/console/rules/new")
    expect(page.locator(".cm-content")).to_be_visible()
    page.get_by_role("textbox", name="Name").fill("Half a rule")
    with page.expect_event("dialog"):
        page.get_by_role("link", name="Alerts", exact=True).click()
    assert (asked, path_of(page)) == (["beforeunload"], "/console/rules/new")
    page.locator(".cm-content").click()
    page.keyboard.type('when type == "half" then notify("slack:#ops")')
    page.keyboard.press("Control+Enter")
    heading(page, "Half a rule")
    assert asked == ["beforeunload"]


def test_what_was_refused_is_not_left_without_a_question_either(page: Page) -> None:
    """It comes back as it was typed, from a POST: no way back leads there again."""
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    for path, send in (("rules/new", "Create rule"), ("silences/new", "Silence")):
        page.goto(f"/console/{path}")
        mistaken = page.get_by_label("Events where" if "silences" in path else "Name")
        mistaken.fill("host = 1")
        page.get_by_role("button", name=send).first.click()
        expect(page.locator(".wrong, .note.bad").first).to_be_visible()
        with page.expect_event("dialog"):
            page.get_by_role("link", name="Alerts", exact=True).click()
        expect(mistaken).to_have_value("host = 1")
        page.remove_listener("dialog", stay)
        page.once("dialog", lambda dialog: dialog.accept())
        page.goto("/console/alerts")
        page.on("dialog", stay)
    assert asked == ["beforeunload"] * 2


def test_a_button_that_is_clicked_twice_sends_its_form_once(page: Page, stack: Stack) -> None:
    """The second click of a hasty hand comes while the first is being answered."""
    page.goto("/console/silences/new")
    page.get_by_label("Events where").fill('host == "hasty"')
    silence = page.get_by_role("button", name="Silence", exact=True)
    api = stack.processes["api"]
    api.freeze()
    # Playwright's own click waits for the answer.
    silence.evaluate("(button) => { button.click(); setTimeout(() => button.click(), 100); }")
    page.wait_for_timeout(300)
    api.thaw()
    heading(page, "Silence")
    made = [one["condition"] for one in stack.get("/silences").json()["data"]]
    assert made.count('host == "hasty"') == 1


def alert_of(stack: Stack, rule: str) -> str | None:
    """The rule's alert, once there is one."""
    found = stack.get("/alerts").json()["data"]
    return next((one["id"] for one in found if one["rule_id"] == rule), None)


def test_long_names_tags_and_keys_push_nothing_out_of_sight(page: Page, stack: Stack) -> None:
    """Keys of alerts come from events, and may be addresses or what else has no spaces."""
    dsl = 'when type == "long" and count() over 5m by path >= 1 then notify("slack:#ops")'
    body = {"name": "W" * 200, "dsl": dsl, "tags": ["t" * 60]}
    rule = stack.post("/rules", body).json()["id"]
    stack.post("/events", {"type": "long", "path": "/" + "k" * 300})
    alert = stack.eventually(lambda: alert_of(stack, rule))
    for path in ("/", "/console/alerts", "/console/rules"):
        page.goto(path)
        expect(page.locator("main table").get_by_text("W" * 200)).to_be_visible()
        assert (
            page.locator("main .table").evaluate("(box) => box.scrollWidth - box.clientWidth") == 0
        )
    for width in (WIDE, NARROW):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for path in (f"/console/rules/{rule}", f"/console/alerts/{alert}"):
            page.goto(path)
            assert overflow(page) == 0, path


def test_the_editor_completes_colours_and_tries_a_sentence_that_is_not_saved(
    page: Page, stack: Stack
) -> None:
    stack.start("backtests")
    for amount in (3, 750):
        body = {"type": "parcel", "weight": amount, "street": "Am Wall"}
        assert stack.post("/events", body).status_code == 202
    page.goto("/console/rules/new")
    page.get_by_role("textbox", name="Name").fill("Heavy")
    editor = page.locator(".cm-content")
    offered = page.get_by_role("listbox", name="Completions").get_by_role("option")
    editor.click()
    page.keyboard.type("wh")
    offered.filter(has_text="when").first.click()
    expect(editor).to_contain_text("when")
    page.keyboard.type(' type == "parcel" and le')
    expect(offered.filter(has_text="len").first).to_be_visible()
    page.keyboard.press("Backspace")
    page.keyboard.press("Backspace")
    # A field that such events have.
    page.keyboard.type("wei")
    page.keyboard.press("Control+Space")
    offered.filter(has_text="weight").first.click()
    expect(editor).to_contain_text("weight")
    page.keyboard.type(' > 500 then notify("slack:#parcels")')
    expect(editor.locator(".tok-keyword").first).to_have_text("when")

    expect(page.locator("#preview")).to_contain_text("1 match")
    trial = page.locator("#trial")
    page.get_by_role("textbox", name="Event").fill('{"type": "parcel", "weight": 3}')
    expect(trial).to_contain_text("weight was 3")

    page.get_by_role("button", name="Backtest").click()
    beside = page.locator("#further")
    expect(beside).to_contain_text("Would notify")
    expect(beside.get_by_role("progressbar")).to_have_count(0)
    expect(beside).to_contain_text("Matches1")
    expect(beside.get_by_role("img", name="Matches")).to_be_visible()
    assert path_of(page) == "/console/rules/new"
    expect(page.get_by_role("textbox", name="Name")).to_have_value("Heavy")
    expect(editor).to_contain_text("weight > 500")


def test_a_mistake_is_shown_while_it_is_typed(page: Page) -> None:
    page.goto("/console/rules/new")
    expect(page.locator(".cm-content")).to_be_visible()
    expect(page.get_by_role("textbox", name="Name")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.type("when type = 5 then")
    wrong = page.get_by_role("status", name="What is wrong with the sentence")
    expect(wrong).not_to_be_empty()
    expect(page.get_by_role("textbox", name="Sentence")).to_have_attribute("aria-invalid", "true")


def test_a_dead_letter_is_retried_and_arrives(page: Page, stack: Stack) -> None:
    stack.receiver.answer = lambda _heard: Answer(500, body=b"the receiver is not well")
    make_rule(stack, "Refused", "refused")
    stack.post("/events", {"type": "refused"})
    stack.eventually(lambda: stack.get("/notifications?status=dead").json()["data"])
    page.goto("/console/notifications")
    page.get_by_role("navigation", name="Views").get_by_role("link", name="Dead").click()
    page.get_by_role("region", name="Notifications").locator("a.main").first.click()
    expect(page.get_by_role("main")).to_contain_text("the receiver is not well")
    stack.receiver.answer = lambda _heard: Answer()
    page.get_by_role("button", name="Retry", exact=True).click()
    expect(page.get_by_role("main")).to_contain_text("Delivered")
    assert stack.get("/notifications?status=dead").json()["data"] == []


def test_many_dead_letters_are_retried_at_once(page: Page, stack: Stack) -> None:
    stack.receiver.answer = lambda _heard: Answer(400)
    make_rule(stack, "Many refused", "many")
    for number in range(3):
        stack.post("/events", {"type": "many", "number": number})
    dead = "/notifications?status=dead"
    stack.eventually(lambda: len(stack.get(dead).json()["data"]) == 3)
    stack.receiver.answer = lambda _heard: Answer()
    page.on("dialog", lambda asked: asked.accept())
    page.goto("/console/notifications?view=dead")
    page.get_by_role("button", name="Retry all").click()
    expect(page.get_by_role("status").first).to_be_visible()
    stack.eventually(lambda: stack.get(dead).json()["data"] == [])
    # What is on its way would be heard by the next test.
    stack.eventually(lambda: settled(stack))


def test_a_channel_is_made_by_its_form_and_tested_through_broker_and_worker(
    page: Page, stack: Stack
) -> None:
    stack.receiver.answer = lambda _heard: Answer(201, body=b"hello from the receiver")
    page.goto("/console/channels")
    press(page, "n")
    page.get_by_role("main").get_by_role("link", name=re.compile("^Webhook")).click()
    page.get_by_label("Name").fill("erp")
    page.get_by_role("textbox", name="URL").fill(f"{stack.receiver.url}/erp")
    page.get_by_role("button", name="Make the channel").click()
    heading(page, "webhook:erp")
    page.goto("/console/channels/webhook:erp")
    page.get_by_role("button", name="Test").click()
    main = page.get_by_role("main")
    expect(main).to_contain_text("delivered")
    expect(main).to_contain_text("hello from the receiver")
    expect(main).to_contain_text("201")
    assert [one.path for one in stack.receiver.heard] == ["/erp"]


def test_what_comes_in_by_the_tail_never_runs(page: Page, stack: Stack) -> None:
    page.goto("/console/events?live=1")
    assert stack.post("/events", markup.event()).status_code == 202
    expect(page.get_by_role("region", name="Events")).to_contain_text(markup.IMAGE)
    assert page.locator(markup.MADE).count() == 0
    assert page.evaluate("window.hacked") is None


def make_rule(stack: Stack, name: str, kind: str) -> None:
    dsl = f'when type == "{kind}" then notify("webhook:{stack.receiver.url}/{kind}")'
    assert stack.post("/rules", {"name": name, "dsl": dsl}).status_code == 201


def admin_key(stack: Stack) -> str:
    with opened(stack) as session:
        _, text = keys.create(session, "Ada", ["admin"], system_clock())
        session.commit()
    return text
