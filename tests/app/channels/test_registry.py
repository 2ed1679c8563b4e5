"""Every kind of channel that there is, and the promises that all of them keep."""

import re
from pathlib import Path

import pytest

from app.channels import registry
from app.channels.base import Channel

APP = Path(registry.__file__).parents[1]


def test_the_kinds_are_found() -> None:
    assert {
        "apprise",
        "discord",
        "email",
        "pagerduty",
        "slack",
        "teams",
        "telegram",
        "webhook",
    } <= set(registry.kinds())


def test_an_unknown_kind_is_told_which_kinds_there_are() -> None:
    with pytest.raises(registry.UnknownKind, match=r"email, .*slack, .*webhook"):
        registry.get("pigeon")


@pytest.mark.parametrize("kind", registry.kinds())
def test_a_channel_tells_its_kind_and_its_label(kind: str) -> None:
    channel = registry.get(kind)
    assert isinstance(channel, Channel)
    assert channel.kind == kind
    assert channel.label
    assert channel.secret_fields <= set(channel.config_schema.fields)


@pytest.mark.parametrize("kind", registry.kinds())
def test_a_url_that_is_no_secret_is_known_to_say_where_the_secrets_go(kind: str) -> None:
    channel = registry.get(kind)
    shown = set(channel.config_schema.fields) - channel.secret_fields
    config = dict.fromkeys(
        (*channel.secret_fields - {"webhook_url"}, *shown), "https://there.example"
    )
    for name in (name for name in shown if name.endswith("url")):
        place = channel.place(config)
        assert place is not None
        assert place[0] == name
        assert place[1].startswith("https://there.example")


@pytest.mark.parametrize("kind", registry.kinds())
def test_nothing_outside_a_channels_file_switches_on_its_kind(kind: str) -> None:
    switch = re.compile(rf"""kind\s*(==|!=|in\b).*["']{kind}["']|case\s+["']{kind}["']""")
    files = [path for path in APP.rglob("*.py") if path.stem != kind]
    assert [path for path in files if switch.search(path.read_text(encoding="utf-8"))] == []
