"""The console's keys."""

from tests.app.client import Client
from tests.app.console.browser import Browser

LIST = "/console/keys"


def test_a_key_is_shown_once_and_may_be_revoked(browser: Browser, client: Client) -> None:
    browser.open(LIST)
    html = browser.send(LIST, status=201, name="<shop>", scopes=["ingest", "read"])
    assert "snt_" in html
    [key] = client.get("/keys").json["data"]
    assert (key["name"], key["scopes"]) == ("<shop>", ["ingest", "read"])
    html = browser.open(LIST)
    assert html.count("snt_") == 1
    assert f"{key['prefix']}…" in html
    assert "&lt;shop&gt;" in html
    assert "is revoked" in browser.send(f"{LIST}/{key['id']}/revoke")
    assert client.get("/keys").json["data"][0]["revoked_at"] is not None


def test_what_is_wrong_is_said_and_what_was_chosen_stays(browser: Browser, client: Client) -> None:
    browser.open(LIST)
    html = browser.send(LIST, status=422, name="", scopes=["write"])
    assert 'id="name-wrong"' in html
    assert 'value="write" checked' in html
    assert "ingest" in browser.send(LIST, status=422, name="shop", scopes=["root"])
    assert client.get("/keys").json["data"] == []


def test_it_is_said_where_keys_are_not_asked_for(browser: Browser) -> None:
    assert "SENTINEL_AUTH" in browser.open(LIST)
