"""What the pages say of what comes in is so: their events, and the rules that fire on them."""

import json
import re
import shutil
import subprocess
from argparse import ArgumentParser
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from app.extensions import session
from app.hooks import examples, registry
from app.hooks.base import Delivery
from app.models.events import Event
from rules_dsl import read_rules_file
from tests.app.client import Client
from tests.pages import NAMES, calls, fences, page

HERE = "http://localhost:8000"
JSON = {"Content-Type": "application/json"}
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAGES = [name for name in NAMES if "## An event" in page(name)]
Body = dict[str, object]


def curl(client: Client, words: list[str]) -> None:
    """What a call of curl would do, where it goes to this Sentinel."""
    parser = ArgumentParser()
    for option in ("-X", "-d"):
        parser.add_argument(option)
    parser.add_argument("-H", action="append")
    parser.add_argument("url")
    given = parser.parse_args(words)
    if given.url.startswith(HERE):
        headers = dict(header.split(": ", 1) for header in given.H)
        path = given.url.removeprefix(HERE)
        answer = client.open(path, method=given.X, data=given.d, headers=headers)
        assert answer.status_code in (200, 202), answer.text


def events_of(client: Client, name: str) -> list[Body]:
    """What becomes of the examples of a source, or else of what the page posts or writes to a stream."""
    if name in registry.names():
        types = [type_ for type_ in examples.types() if examples.source_of(type_) == name]
        return [one.body() for type_ in types for one in examples.make(type_, AT).heard()]
    for words in calls(page(name), "curl"):
        curl(client, words)
    for written in re.findall(r"(?:event|echo) '(\{.*\})'", "\n".join(fences(page(name), "sh"))):
        assert client.post("/events", data=written, headers=JSON).status_code == 202
    return [event.body for event in session().scalars(select(Event))]


def is_part(shown: object, whole: object) -> bool:
    """Whether all that is shown is there: of objects some members, of the rest all."""
    if isinstance(shown, dict) and isinstance(whole, dict):
        return all(key in whole and is_part(value, whole[key]) for key, value in shown.items())
    return shown == whole


@pytest.mark.parametrize("name", PAGES)
def test_each_event_on_a_page_is_one_that_comes(client: Client, name: str) -> None:
    come, shown = events_of(client, name), fences(page(name), "json")
    assert shown
    for text in shown:
        assert any(is_part(json.loads(text), event) for event in come), come


@pytest.mark.parametrize("name", PAGES)
def test_each_rule_on_a_page_fires_on_what_comes(client: Client, name: str) -> None:
    come = events_of(client, name)
    rules = [rule for text in fences(page(name), "rules") for rule in read_rules_file(text)]
    assert rules
    for rule in rules:
        answers = [
            client.post("/rules/test", json={"dsl": rule.dsl, "event": event}) for event in come
        ]
        assert {answer.status_code for answer in answers} == {200}
        assert any(answer.json["matched"] is True for answer in answers), rule.name


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_what_the_shell_signs_is_right() -> None:
    lines = re.findall(r"^((?:body|sum)=.*)", page("generic"), re.MULTILINE)
    script = "\n".join([*lines, 'printf "%s\\n%s\\n%s" "$now" "$sum" "$body"'])
    done = subprocess.run(
        ["bash", "-c", script],
        env={"SECRET": "hush hush", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    now, total, body = done.stdout.split("\n")
    headers = {"x-sentinel-timestamp": now, "x-sentinel-signature": f"sha256={total}"}
    registry.get("generic").check(
        Delivery(headers, body.encode(), datetime.fromtimestamp(int(now), UTC)), "hush hush"
    )
