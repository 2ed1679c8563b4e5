"""How Slack's messages are drawn, and that nothing in them executes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inbox.slack_text import blocks_of, mrkdwn, plain


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("plain", "plain"),
        ("*bold* and _italic_ and ~gone~", "<b>bold</b> and <i>italic</i> and <s>gone</s>"),
        ("`a < b`", "<code>a &lt; b</code>"),
        ("a*b*c snake_case_name", "a*b*c snake_case_name"),
        ("&lt;b&gt; &amp;amp;", "&lt;b&gt; &amp;amp;"),
        ("<b> *x* <i>", "&lt;b&gt; <b>x</b> &lt;i&gt;"),
        (
            "<https://a.example/?x=1&amp;y=2|see *it*>",
            '<a href="https://a.example/?x=1&amp;y=2" rel="noopener noreferrer">see *it*</a>',
        ),
        ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
        ("<!channel> <@U1>", "<mark>@channel</mark> <mark>@U1</mark>"),
        ('<https://a.example/"onclick=x|y>', None),
    ],
)
def test_mrkdwn_is_drawn_like_slack_does(text: str, html: str | None) -> None:
    drawn = str(mrkdwn(text))
    assert '"onclick' not in drawn
    assert html is None or drawn == html


def test_slacks_escapes_are_undone_once() -> None:
    assert plain("&amp;lt; &lt;") == "&amp;lt; &lt;"


@given(st.text(alphabet="<>&\"'|!@#*_~`ahtps:/.= \n"))
def test_no_text_makes_a_tag_of_its_own(text: str) -> None:
    drawn = str(mrkdwn(text))
    ours = '<a href="|" rel="noopener noreferrer">|</a>|<mark>|</mark>|<b>|</b>|<i>|</i>|<s>|</s>'
    for tag in [*ours.split("|"), "<code>", "</code>", '">']:
        drawn = drawn.replace(tag, "")
    assert "<" not in drawn


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"blocks": None},
        {"blocks": "x"},
        {"blocks": [None, 1, "x", [], {}]},
        {"blocks": [{"type": "section"}, {"type": "header", "text": 5}, {"type": ["x"]}]},
        {"blocks": [{"type": "section", "fields": [None, {"text": {}}]}]},
        {"text": {"a": 1}},
    ],
)
def test_a_payload_that_slack_would_refuse_is_drawn_somehow(payload: dict[str, object]) -> None:
    assert blocks_of(payload)


def test_a_sign_in_a_header_is_drawn_and_not_written() -> None:
    header = {"type": "header", "text": {"type": "plain_text", "text": "🔴 Disk &lt;full&gt;"}}
    (block,) = blocks_of({"blocks": [header]})
    assert block.text == '<span class="sign red"></span>Disk &lt;full&gt;'


def test_a_message_without_blocks_shows_its_text() -> None:
    (block,) = blocks_of({"text": "*hello*"})
    assert (block.kind, block.text) == ("section", "<b>hello</b>")
