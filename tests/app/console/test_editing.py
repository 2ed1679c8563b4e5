"""The rule editor: what is written is kept, checked, tried and saved."""

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

import rules_dsl
from app.console.editing import EXAMPLES
from app.console.trying import mark
from app.extensions import session
from app.services import channels
from rules_dsl import catalogue, compile_rule
from rules_dsl.words import RESERVED
from tests.app.client import Client
from tests.app.console.browser import ORIGIN, Browser
from tests.app.helpers import ORDERS, make_rule, post_event
from tests.conftest import TestClock

NEW = "/console/rules/new"
MESSAGE = ORDERS + ' message "<b>{{ note }}</b>"'
FIELDS: dict[str, Any] = {"name": "Orders", "dsl": ORDERS, "mode": "live"}


def ask(browser: Browser, what: str, status: int = 200, **fields: Any) -> str:
    """What the editor asks while somebody types."""
    if browser.page is None:
        browser.open(NEW)
    answer = browser.client.post(
        f"/console/rules/{what}",
        data=fields,
        headers={"Origin": ORIGIN, "X-CSRF-Token": browser.token, "HX-Request": "true"},
    )
    assert answer.status_code == status, answer.text
    return answer.text


def save(browser: Browser, path: str, **fields: Any) -> str:
    """Send the form, which has to be accepted; where it leads."""
    answer = browser.client.post(
        path, data={"csrf": browser.token, **fields}, headers={"Origin": ORIGIN}
    )
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"])


def field(html: str, name: str) -> str:
    """What stands in a field of a form."""
    area = re.search(rf'<textarea[^>]* name="{name}"[^>]*>\n(.*?)</textarea>', html, re.DOTALL)
    value = area or re.search(rf'<input[^>]* name="{name}" value="(.*?)"', html, re.DOTALL)
    assert value, f"there is no field {name}"
    return unescape(value[1])


def told_by(browser: Browser, path: str) -> dict[str, Any]:
    """What the editor reads as JSON."""
    return dict(browser.client.get(path).json or {})


def rule_of(client: Client, rule_id: str) -> dict[str, Any]:
    return dict(client.get(f"/rules/{rule_id}").json)


def opened(browser: Browser, client: Client) -> tuple[str, str, str]:
    """A rule whose form is open: its id, the form's address, and the version that it was filled in from."""
    rule_id = make_rule(client)
    path = f"/console/rules/{rule_id}/edit"
    return rule_id, path, field(browser.open(path), "etag")


def test_a_rule_is_made_of_what_stands_in_the_form(browser: Browser, client: Client) -> None:
    browser.open(NEW)
    place = save(
        browser,
        NEW,
        name=" Orders ",
        dsl=ORDERS.replace(" then", "\r\nthen"),
        mode="shadow",
        description="Look at it.",
        tags="sales, tier 1,",
        noise_budget="20",
        tests='test "a big one" {"type": "order", "amount": 750} expect true',
    )
    rule = rule_of(client, place.rpartition("/")[2])
    assert rule["name"] == "Orders"
    assert rule["dsl"] == ORDERS.replace(" then", "\nthen")
    assert (rule["mode"], rule["tags"], rule["noise_budget"]) == ("shadow", ["sales", "tier 1"], 20)
    assert rule["description"] == "Look at it."
    assert client.get("/audit").json["data"][0]["action"] == "rule.create"


def test_each_mode_says_what_it_means_and_a_new_rule_is_live(browser: Browser) -> None:
    html = browser.open(NEW)
    assert re.findall(r'name="mode" value="(\w+)"( checked)?', html) == [
        ("live", " checked"),
        ("shadow", ""),
        ("off", ""),
    ]
    assert "nobody is notified" in html


def test_a_mistake_is_shown_at_its_place_and_what_was_typed_is_kept(browser: Browser) -> None:
    browser.open(NEW)
    wrong = {
        "name": "A <script>",
        "dsl": 'when lenght(items) > 3 then notify("slack:#</textarea><script>")',
        "mode": "off",
        "description": "kept",
        "tags": "one, two",
        "noise_budget": "7",
        "tests": "# kept as well",
        "event": '{"mine": 1}',
    }
    html = browser.send(NEW, status=422, **wrong)
    assert "unknown function `lenght` (line 1, column 6)" in html
    assert "^^^^^^" in html
    assert "did you mean `len`?" in unescape(html)
    for name in set(wrong) - {"mode"}:
        assert field(html, name) == wrong[name]
    assert 'value="off" checked' in html
    assert "<script>" not in html


@pytest.mark.parametrize(
    ("fields", "name", "said"),
    [
        ({"name": ""}, "name", "Length must be between 1 and 200."),
        ({"name": "a\tb"}, "name", "contains control characters"),
        ({"tags": "x" * 65}, "tags", "Length must be between 1 and 64."),
        ({"noise_budget": "many"}, "noise_budget", "Not a valid integer."),
        ({"noise_budget": "0"}, "noise_budget", "Must be greater than or equal to 1"),
        ({"noise_budget": "9" * 5000}, "noise_budget", "Not a valid integer."),
        ({"mode": "loud"}, "mode", "Must be one of"),
        ({"dsl": ""}, "dsl", "line 1, column 1"),
        ({"dsl": 'when a then notify("fax:1")'}, "dsl", "unknown kind of target `fax`"),
        ({"tests": 'test "small" {"type": "order", "amount": 7} expect true'}, "tests", "small"),
        ({"tests": "tset"}, "tests", "line 1"),
    ],
)
def test_what_the_api_refuses_is_refused_here_at_its_field(
    browser: Browser, client: Client, fields: dict[str, Any], name: str, said: str
) -> None:
    browser.open(NEW)
    html = browser.send(NEW, status=422, **(FIELDS | fields))
    assert said in unescape(html).split(f'id="{name}-wrong"', 1)[1].split("</div>", 1)[0]
    assert not client.get("/rules").json["data"]


def test_a_name_that_is_taken_is_refused_at_the_name(browser: Browser, client: Client) -> None:
    make_rule(client)
    browser.open(NEW)
    html = browser.send(NEW, status=422, **FIELDS)
    assert "a rule named &#39;Orders&#39; exists" in html.split('id="name-wrong"', 1)[1]


def test_a_rule_is_changed_to_its_next_version(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    rule_id = make_rule(client, tags=["a", "b"], description="before", noise_budget=5)
    path = f"/console/rules/{rule_id}/edit"
    html = browser.open(path)
    shown = {name: field(html, name) for name in ("name", "dsl", "tags", "description")}
    assert shown == {"name": "Orders", "dsl": ORDERS, "tags": "a, b", "description": "before"}
    etag = field(html, "etag")
    save(browser, path, etag=etag, **(shown | {"mode": "live", "noise_budget": "5"}))
    assert rule_of(client, rule_id)["version"] == 1, "nothing was changed"
    clock.tick(1)
    place = save(browser, path, etag=etag, **(shown | {"mode": "live", "description": "after"}))
    assert place == f"/console/rules/{rule_id}"
    rule = rule_of(client, rule_id)
    assert (rule["version"], rule["description"], rule["noise_budget"]) == (2, "after", None)
    assert client.get("/audit").json["data"][0]["action"] == "rule.replace"


def test_who_was_overtaken_sees_both_and_may_save_over_it(browser: Browser, client: Client) -> None:
    rule_id, path, etag = opened(browser, client)
    theirs = ORDERS.replace("500", "900")
    client.patch(f"/rules/{rule_id}", json={"dsl": theirs})
    mine = ORDERS.replace("500", "100")
    html = browser.send(path, status=412, etag=etag, **(FIELDS | {"dsl": mine}))
    assert rule_of(client, rule_id)["dsl"] == theirs
    compared = html.split('class="card overtaken"')[1].split("</section>")[0]
    assert "amount &gt; 900" in compared
    assert "amount &gt; 100" in compared
    assert field(html, "dsl") == mine
    save(browser, path, etag=field(html, "etag"), **(FIELDS | {"dsl": mine}))
    assert rule_of(client, rule_id)["dsl"] == mine


def test_who_was_overtaken_by_the_same_has_nothing_to_save(
    browser: Browser, client: Client
) -> None:
    """As by an own first click, whose answer was late."""
    rule_id, path, etag = opened(browser, client)
    mine = FIELDS | {"dsl": ORDERS.replace("500", "100")}
    for _ in range(2):
        html = browser.send(path, etag=etag, **mine)
        browser.open(path)
    assert "It says that already" in html
    assert rule_of(client, rule_id)["version"] == 2


def test_a_rule_that_was_deleted_meanwhile_leaves_what_was_typed(
    browser: Browser, client: Client
) -> None:
    rule_id, path, etag = opened(browser, client)
    client.delete(f"/rules/{rule_id}")
    mine = ORDERS.replace("500", "100")
    html = browser.send(path, status=404, etag=etag, **(FIELDS | {"dsl": mine}))
    assert "there is no such rule" in html
    assert field(html, "dsl") == mine
    assert 'action="/console/rules/new"' in html
    assert "Saved." in browser.send("/console/rules/new", **(FIELDS | {"dsl": mine}))


def test_a_refused_change_leaves_the_rule_as_it_was(browser: Browser, client: Client) -> None:
    rule_id, path, etag = opened(browser, client)
    html = browser.send(path, status=422, etag=etag, **(FIELDS | {"dsl": "when"}))
    assert "Edit Orders" in html
    assert rule_of(client, rule_id)["version"] == 1
    browser.open("/console/rules/018f0000-0000-7000-8000-000000000000/edit", status=404)


def test_an_address_may_bring_a_sentence_and_an_event(browser: Browser, client: Client) -> None:
    event = post_event(client, note="</textarea>")
    html = browser.open(f"{NEW}?name=N&dsl=when+a&event={event}")
    assert (field(html, "name"), field(html, "dsl")) == ("N", "when a")
    assert json.loads(field(html, "event"))["note"] == "</textarea>"
    begun = field(browser.open(f"{NEW}?event={event}"), "dsl")
    assert compile_rule(begun).matches({"type": "order"})
    browser.open(f"{NEW}?event=018f0000-0000-7000-8000-000000000000", status=404)


@pytest.mark.parametrize("dsl", EXAMPLES.values(), ids=EXAMPLES)
def test_each_example_to_begin_with_is_a_rule(browser: Browser, dsl: str) -> None:
    compile_rule(dsl)
    assert unescape(browser.open(NEW)).count(f'data-start="{dsl}"') == 1


def test_the_editor_knows_every_word_function_and_target(
    app: Flask, browser: Browser, client: Client
) -> None:
    client.post("/channels", json={"name": "ops", "kind": "slack", "config": {"channel": "#ops"}})
    told = told_by(browser, "/console/rules/language")
    grammar = (Path(rules_dsl.__file__).parent / "grammar.tx").read_text()
    spelled = set(re.findall(r"'([a-z]+)'", grammar)) | RESERVED
    assert spelled <= {each["word"] for each in told["words"]}
    assert told["functions"] == catalogue()
    named = [f"{row.kind}:{row.name}" for row in channels.listing(session())]
    assert [each["target"] for each in told["targets"]] == named
    assert told["kinds"]["slack"] == "Slack"


def test_the_editor_knows_the_fields_of_events_of_a_type(browser: Browser, client: Client) -> None:
    post_event(client, user={"id": 7})
    post_event(client, type="other", x=1)
    told = told_by(browser, "/console/rules/fields?type=order")
    assert told["events"] == 1
    assert [(each["path"], each["examples"]) for each in told["fields"]] == [
        ("amount", [750]),
        ("type", ["order"]),
        ("user", []),
        ("user.id", [7]),
    ]
    everything = told_by(browser, "/console/rules/fields")
    assert everything["types"] == {"order": 1, "other": 1}


def test_a_mistake_is_told_in_the_words_of_the_api(browser: Browser, client: Client) -> None:
    dsl = 'when lenght("<i>") > 3\nthen notify("slack:#x")'
    [said] = client.post("/rules/validate", json={"dsl": dsl}).json["diagnostics"]
    html = ask(browser, "validate", dsl=dsl.replace("\n", "\r\n"))
    assert said["message"] in html
    assert said["hint"] in html
    place = f'data-line="1" data-column="{said["column"]}" data-end="{said["end_column"]}"'
    assert place in html
    assert "line 1, column 6" in html


def test_nothing_wrong_is_said_too_and_warnings_are_no_errors(browser: Browser) -> None:
    assert "Nothing wrong" in ask(browser, "validate", dsl=ORDERS)
    assert ask(browser, "validate", dsl=" ").strip() == ""
    unused = 'when any x in items: (amount > 5) then notify("slack:#x")'
    html = ask(browser, "validate", dsl=unused)
    assert 'class="warning"' in html
    assert "data-broken" not in html
    assert "&lt;script&gt;" in ask(browser, "validate", dsl='when a then notify("<script>")')


def test_a_sentence_is_tried_on_the_newest_events(browser: Browser, client: Client) -> None:
    assert "./sentinel send" in ask(browser, "preview", dsl=ORDERS)
    for amount in (100, 600, 700):
        event = post_event(client, amount=amount, note="<script>")
    html = ask(browser, "preview", dsl=ORDERS)
    assert re.findall(r"<strong>(\d+)</strong>", html) == ["2", "2"]
    assert f"/console/events/{event}" in html
    assert "<script>" not in html
    assert "There are only 3 events" in html
    assert "&lt;b&gt;&lt;script&gt;&lt;/b&gt;" in ask(browser, "preview", dsl=MESSAGE)


def test_a_condition_is_tried_before_anybody_is_named(browser: Browser, client: Client) -> None:
    post_event(client)
    html = ask(browser, "preview", dsl="when amount > 500 # so far")
    assert re.findall(r"<strong>(\d+)</strong>", html) == ["1"]
    assert "nobody:yet" not in ask(browser, "test", dsl="when amount > 500", event='{"amount": 9}')


@pytest.mark.parametrize("what", ["preview", "test"])
def test_no_sentence_yet_leaves_what_was_shown(browser: Browser, what: str) -> None:
    assert ask(browser, what, status=204, dsl="when amount >", event="{}") == ""


def test_a_rule_with_memory_says_that_it_began_without_any(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    for _ in range(3):
        post_event(client)
        clock.tick(10)
    dsl = 'when type == "order" and count() over 5m by type >= 2 then notify("slack:#x") throttle 1 per 1h'
    html = ask(browser, "preview", dsl=dsl)
    assert re.findall(r"<strong>(\d+)</strong>", html) == ["2", "1", "1"]
    assert "throttle" in html.split("Held back")[1]
    assert "It remembers" in html


def test_a_sample_is_explained_clause_by_clause(browser: Browser) -> None:
    html = ask(browser, "test", dsl=ORDERS, event='{"type": "order", "amount": 320}')
    assert "It does not fire." in html
    assert '<code>amount</code> was <b class="kind-number">320</b>' in html
    assert "<code>amount &gt; 500</code> had to be true" in html
    html = ask(browser, "test", dsl=ORDERS, event='{"type": "order"}')
    assert "Unknown, so it does not fire." in html
    assert "amount is missing" in html
    html = ask(
        browser, "test", dsl=MESSAGE, event='{"type": "order", "amount": 1e3, "note": "<i>"}'
    )
    assert "It fires." in html
    assert "&lt;b&gt;&lt;i&gt;&lt;/b&gt;" in html


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("{", "JSON"),
        ("[1]", "an event is a JSON object"),
        ('{"a": 1, "a": 2}', "same key twice"),
        (json.dumps({"a": "x" * 300_000}), "larger than any"),
    ],
)
def test_what_is_no_event_is_said(browser: Browser, event: str, said: str) -> None:
    assert said in ask(browser, "test", dsl=ORDERS, event=event)


def test_a_sample_follows_the_sentence_until_somebody_types_another(
    browser: Browser, client: Client, clock: TestClock
) -> None:
    post_event(client, amount=555)
    clock.tick(1)
    post_event(client, type="login", user="<script>")
    html = browser.open(NEW)
    shown, was = field(html, "event"), re.search(r'name="event_was"[^>]* value="(\w+)"', html)
    assert json.loads(shown)["type"] == "login"
    assert was
    html = ask(browser, "test", dsl=ORDERS, event=shown, event_was=was[1])
    assert json.loads(field(html, "event"))["amount"] == 555
    mine = shown.replace("login", "order")
    html = ask(browser, "test", dsl=ORDERS, event=mine, event_was=was[1])
    assert "<textarea" not in html
    html = ask(browser, "test", dsl=ORDERS.replace('"order"', '"none"'), event="", event_was="")
    assert json.loads(field(html, "event"))["type"] == "none"


def test_an_absence_is_tried_on_an_event_that_is_not_of_it(browser: Browser) -> None:
    dsl = 'when absent(type == "beat") for 10m by host then notify("slack:#x")'
    html = ask(browser, "test", dsl=dsl, event='{"type": "order"}')
    assert "It remembers" in html


def test_what_the_editor_asks_changes_nothing(browser: Browser, client: Client) -> None:
    post_event(client)
    for what in ("validate", "preview", "test"):
        ask(browser, what, dsl=ORDERS, event='{"type": "order", "amount": 900}')
    assert not client.get("/rules").json["data"]
    assert not client.get("/notifications").json["data"]
    assert not client.get("/audit").json["data"]
    answer = browser.client.post("/console/rules/preview", data={"dsl": ORDERS})
    assert answer.status_code == 403


def test_the_mark_of_a_sample_is_not_moved_by_how_forms_send_lines() -> None:
    assert mark('{\n  "a": 1\n}') == mark('{\n  "a": 1\n}\n')
    assert mark("{}") != mark("[]")
