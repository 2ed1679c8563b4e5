"""What the commands about events show, and what they make of words."""

import json
from datetime import UTC, datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from app.cli.__main__ import sentinel
from app.cli.local.times import MOMENT
from app.cli.views.text import plain


def test_control_characters_of_a_receiver_never_reach_the_terminal() -> None:
    assert plain("a\x1b[31mred\x07\nb é 日本") == "a·[31mred··b é 日本"


def test_a_time_is_rfc_3339_or_how_long_ago() -> None:
    assert MOMENT.convert("2026-01-31T09:00:00Z", None, None) == "2026-01-31T09:00:00Z"
    ago = datetime.fromisoformat(MOMENT.convert("1d12h", None, None))
    assert timedelta(hours=36) <= datetime.now(UTC) - ago < timedelta(hours=37)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-31T09:00:00", "99999999w", "5"])
def test_a_time_that_is_none_is_a_usage_error(text: str) -> None:
    with pytest.raises(click.BadParameter):
        MOMENT.convert(text, None, None)


@pytest.mark.parametrize(
    "words",
    [
        ["send", "order", "amount"],
        ["send", "order", "=1"],
        ["send", "order", "a=1", "a.b=2"],
        ["send", "order", "a..b=2"],
        ["send", "-", "a=1"],
        ["send", "no/such/file.ndjson"],
        ["event", "why"],
        ["event", "show", "nonsense"],
        ["event", "replay", "--where", "a > 1"],
        ["event", "replay", "01a20991-cc19-714b-b1de-3c65f67f389a", "--since", "1h"],
    ],
)
def test_words_that_make_no_sense_are_a_usage_error(words: list[str]) -> None:
    assert CliRunner().invoke(sentinel, words).exit_code == 2


def test_fields_are_json_where_they_read_as_such() -> None:
    from app.cli.send import _tree

    made = _tree(["amount=750", "user.id=42", "user.name=Ada", 'tags=["a"]', "ok=true", "x=1=2"])
    assert json.dumps(made) == json.dumps(
        {
            "amount": 750,
            "user": {"id": 42, "name": "Ada"},
            "tags": ["a"],
            "ok": True,
            "x": "1=2",
        }
    )


def test_what_is_no_number_of_json_is_a_text() -> None:
    from app.cli.send import _tree

    made = _tree(["a=NaN", "b=-Infinity", "c=1e999", "d=[NaN]"])
    assert made == {"a": "NaN", "b": "-Infinity", "c": "1e999", "d": "[NaN]"}


def test_a_config_with_a_number_that_json_has_not_is_told_as_one() -> None:
    words = ["channel", "create", "erp", "webhook", "-"]
    done = CliRunner().invoke(
        sentinel, words, input='{"url": NaN}', env={"SENTINEL_URL": "http://127.0.0.1:9"}
    )
    assert (done.exit_code, "JSON has no NaN" in done.stderr) == (1, True)


def test_a_server_that_does_not_answer_is_a_failure() -> None:
    done = CliRunner().invoke(
        sentinel, ["event", "list"], env={"SENTINEL_URL": "http://127.0.0.1:9"}
    )
    assert done.exit_code == 1
    assert "does not answer" in done.stderr
