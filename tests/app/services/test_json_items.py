"""An array that comes in pieces is read as `json` reads it whole."""

import json
from io import BytesIO
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.services import json_items
from app.services.errors import Refusal
from app.services.strict_json import BadJson

ENDLESS = 10**9
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
numbers = st.sampled_from(["0", "-0", "1.5", "-12e+10", "1E9", "3e-7", "9" * 4400, "1e400"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(texts, below, max_size=4),
    max_leaves=12,
)
# As written by `json`, with numbers that it would not write, and what is no JSON at all.
items = st.one_of(
    st.builds(json.dumps, values, ensure_ascii=st.booleans(), indent=st.none() | st.just(1)),
    numbers,
    st.text('{}[]",:\\ \n01.e+-NInfulatrsy\x01', max_size=12),
)
arrays = st.lists(items, max_size=5).map(",".join).map("[{}]".format)
marks = st.sampled_from(["", "x", "]", "[", "}", '"', "\\", ",", ":", "1", ".", "\n", "\x00", "-"])


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """An array, of which a place may hold something else."""
    text = draw(arrays)
    start = draw(st.integers(0, len(text)))
    return text[:start] + draw(marks) + text[draw(st.integers(start, min(len(text), start + 2))) :]


def read(text: str, piece: int, longest: int = ENDLESS) -> list[json_items.Item]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_items, "PIECE", piece)
        return list(json_items.items(BytesIO(text.encode()), longest))


def whole(text: str) -> Any:
    """What `json` reads; the digits of long numbers do not matter."""
    return json.loads(text, parse_int=lambda digits: int(digits[:4300]))


def judged(text: str) -> list[Any] | str:
    """The items that `json` finds, or where it finds a mistake."""
    try:
        found = whole(text)
    except json.JSONDecodeError as error:
        begun = text.strip(" \n").startswith("[") and "\0" not in text
        return f"(line {error.lineno}, column {error.colno})" if begun else ""
    return found if isinstance(found, list) else ""


@given(arrays | damaged(), st.integers(1, 40))
@example("[1.5]", 2)
@example("[1e+5,-1e-5]", 4)
@example('["\\ud83d\\udd14"]', 4)
@example("[{}{}]", 1)
@example("[9" + "9" * 4400 + ".5]", 40)
def test_it_is_the_same_in_pieces_of_any_size(text: str, piece: int) -> None:
    expected = judged(text)
    if isinstance(expected, str):
        with pytest.raises(BadJson) as told:
            read(text, piece)
        assert expected in told.value.detail
        return
    found = read(text, piece)
    assert len(found) == len(expected)
    for item, value in zip(found, expected, strict=True):
        if isinstance(item, Refusal):
            assert item.code in {"bad_number", "bad_string", "duplicate_key"}
        else:
            # Not by ==, to which 1 and 1.0 and True are one.
            assert repr(item[1]) == repr(value) == repr(whole(item[0]))


@given(arrays | damaged(), st.integers(1, 40), st.integers(1, 30))
@example('["aaaa\\u00', 3, 1)
@example('["\\u12345"]', 3, 1)
@example("[[-Infinity, 1.5e+10, []]]", 2, 1)
@example('[{"a": {"b": [{}]}}, 1]', 2, 1)
@example("[1.5]", 2, 1)
@example("[-]", 2, 1)
def test_what_is_too_long_is_passed_by_where_it_is_json(
    text: str, piece: int, longest: int
) -> None:
    expected = judged(text)
    if isinstance(expected, str):
        with pytest.raises(BadJson):
            read(text, piece, longest)
        return
    found, unbounded = read(text, piece, longest), read(text, piece)
    assert len(found) == len(expected)
    for item, same in zip(found, unbounded, strict=True):
        if isinstance(same, Refusal) or len(same[0].encode()) > longest:
            assert isinstance(item, Refusal)
        else:
            assert repr(item) == repr(same)


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b'["\xff"]', "not UTF-8 (byte 2)"),
        ('["äöü", "'.encode() + b'\xc3"]', "not UTF-8 (byte 12)"),
        ('["ä'.encode()[:-1], "not UTF-8 (byte 2)"),
        (b"\xef\xbb\xbf[]", "must be UTF-8 without a byte order mark"),
        (b"[]\x00", "must be UTF-8 without a byte order mark"),
        (b'[1,\n2\n "', "(line 3, column 2)"),
    ],
)
@pytest.mark.parametrize("piece", [1, 2, 5, 100])
def test_a_mistake_is_told_by_its_place_in_the_whole(
    raw: bytes, detail: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_items, "PIECE", piece)
    with pytest.raises(BadJson) as told:
        list(json_items.items(BytesIO(raw), ENDLESS))
    assert told.value.detail.endswith(detail)
