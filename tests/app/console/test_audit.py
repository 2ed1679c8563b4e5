"""The console's audit log."""

from tests.app.client import Client
from tests.app.console.browser import Browser
from tests.app.helpers import make_rule

LIST = "/console/audit"


def test_a_change_is_listed_with_its_values_as_text(browser: Browser, client: Client) -> None:
    rule = make_rule(client, name="<i>Orders</i>")
    client.patch(f"/rules/{rule}", json={"description": "<script>alert(1)</script>"})
    html = browser.open(LIST)
    assert "rule.create" in html
    assert "rule.patch" in html
    assert "&lt;i&gt;Orders&lt;/i&gt;" in html
    assert "<script>alert" not in html


def test_changes_of_one_kind_or_hand_are_an_address(browser: Browser, client: Client) -> None:
    rule = make_rule(client)
    client.patch(f"/rules/{rule}", json={"tags": ["a"]})
    assert "rule.create" not in browser.open(f"{LIST}?action=rule.patch").partition("<tbody>")[2]
    assert "No change is on record" in browser.open(f"{LIST}?actor=nobody")
