"""Sentences in colour, and differences: every letter stays, and none becomes markup."""

import re
import time
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.console.colours import compared, sentence


def bare(html: str) -> str:
    return unescape(re.sub(r"</?(?:span|ins|del)[^>]*>", "", html))


def kept(html: str, gone: str) -> str:
    """One of the two texts: without what the other alone has."""
    return bare(re.sub(f"<{gone}>.*?</{gone}>", "", html, flags=re.DOTALL))


@given(st.text())
def test_colours_change_no_letter(text: str) -> None:
    assert bare(sentence(text)) == text


@given(st.text(alphabet="ab <>&\n"), st.text(alphabet="ab <>&\n"))
def test_a_difference_holds_both_texts(old: str, new: str) -> None:
    html = compared(old, new)
    assert kept(html, "ins") == old
    assert kept(html, "del") == new


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("when", '<span class="of-keyword">when</span>'),
        ("a.when", "a.when"),
        ("message", "message"),
        ("len(a)", '<span class="of-name">len</span>(a)'),
        ("5m", '<span class="of-number">5m</span>'),
        ("'<b>'", '<span class="of-string">&#39;&lt;b&gt;&#39;</span>'),
        ("# when", '<span class="of-comment"># when</span>'),
        ("over", '<span class="of-keyword">over</span>'),
    ],
)
def test_words_are_coloured_by_what_they_are(text: str, wanted: str) -> None:
    assert sentence(text) == wanted


def test_a_clauses_word_is_one_after_then_alone() -> None:
    html = sentence('when message == "x" then notify("a:b") message "x"')
    assert html.count('<span class="of-keyword">message</span>') == 1


def test_words_that_differ_are_marked_together() -> None:
    assert compared("a b c", "x y c") == "<del>a b</del><ins>x y</ins> c"
    assert compared("a", "a") == "a"
    assert compared("", "b") == "<ins>b</ins>"


@pytest.mark.parametrize("piece", ["a ", "a\n", "\n", "a b\n"])
def test_the_longest_texts_are_compared_in_time(piece: str) -> None:
    text = piece * (16_384 // len(piece))
    begun = time.process_time()
    assert kept(compared(text, f"x{text}"), "ins") == text
    assert time.process_time() - begun < 2
