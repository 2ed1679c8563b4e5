"""What an author is told: `mistakes.txt` holds each mistake with the whole text of its error."""

import re
from pathlib import Path

import pytest

from rules_dsl import RuleError, compile_rule, diagnostics, parse_condition

GOLDEN = Path(__file__).with_name("mistakes.txt").read_text(encoding="utf-8")
WORDS_OF_TEXTX = re.compile(r"expected '|textx|RegExMatch|NoMatch|EOF|\(\?:", re.IGNORECASE)


def _cases() -> list[tuple[str, str, str]]:
    cases = []
    for block in re.split(r"\n\n(?=>>>)", GOLDEN.strip("\n")):
        lines = block.split("\n")
        rule = [line[4:] for line in lines if line.startswith(">>>")]
        told = "\n".join(lines[len(rule) :])
        match = re.fullmatch(r"\[(\w+)\] (.*)", told, re.DOTALL)
        assert match is not None, block
        cases.append(("\n".join(rule), match[1], match[2]))
    return cases


CASES = _cases()


@pytest.mark.parametrize(("text", "code", "told"), CASES, ids=[case[0] for case in CASES])
def test_a_mistake_is_told_with_its_place_and_a_hint(text: str, code: str, told: str) -> None:
    with pytest.raises(RuleError) as caught:
        compile_rule(text)
    assert str(caught.value) == told
    assert caught.value.code == code


@pytest.mark.parametrize("text", [case[0] for case in CASES])
def test_the_first_diagnostic_is_the_error_that_compiling_raises(text: str) -> None:
    with pytest.raises(RuleError) as caught:
        compile_rule(text)
    first = diagnostics(text)[0]
    assert first["message"] == caught.value.message
    assert (first["line"], first["column"]) == (caught.value.line, caught.value.column)
    assert first["end_column"] == caught.value.end_column > first["column"]
    assert first["severity"] == "error"


def test_the_wording_of_textx_never_reaches_a_user() -> None:
    assert not [told for _, _, told in CASES if WORDS_OF_TEXTX.search(told.split("\n")[0])]


def test_each_caret_stands_under_the_text_that_is_wrong() -> None:
    with pytest.raises(RuleError) as caught:
        compile_rule('when a == 5\n  and lenght(b) > 3\nthen notify("a:b")')
    error = caught.value
    assert (error.line, error.column, error.end_column) == (2, 7, 13)
    assert error.text.split("\n")[1][error.column - 1 : error.end_column - 1] == "lenght"


def test_a_long_line_is_shown_around_the_mistake() -> None:
    text = f"when {' or '.join(['amount > 500'] * 40)} or amount = 3 then notify('a:b')"
    with pytest.raises(RuleError) as caught:
        compile_rule(text)
    _, line, carets, _ = str(caught.value).split("\n")
    assert len(line) < 110
    assert line[carets.index("^")] == "="


@pytest.mark.parametrize("odd", ["a\x1b[31m", "\r", "\u200b", "\ud800", "\u2028", "x" * 5_000])
def test_an_error_is_legible_whatever_it_quotes(odd: str) -> None:
    for text in (f'when a == "{odd}" b', f'when a then notify("{odd}")', f"when {odd}(1) > 2 then"):
        with pytest.raises(RuleError) as caught:
            compile_rule(text)
        told = str(caught.value)
        assert all(line.isprintable() for line in told.split("\n"))
        assert len(told) < 1_000
        told.encode()


def test_every_semantic_mistake_is_in_the_diagnostics() -> None:
    found = diagnostics('when lenght(a) > 1 and b == null then notify("nope:x", "x:y")')
    assert [(each["code"], each["column"]) for each in found] == [("function", 6), ("type", 29)]


def test_the_earliest_of_several_mistakes_is_raised() -> None:
    with pytest.raises(RuleError, match="nothing compares with null"):
        compile_rule('when b == null and lenght(a) > 1 then notify("a:b")')


WARNINGS = {
    'when a in [1, "x"] then notify("a:b")': "mixed_list",
    'when any x in items: (price > 5) then notify("a:b")': "unused_name",
    'when amount > "500" then notify("a:b")': "number_in_quotes",
    'when amount > 500 then notify("a:b", "a:b")': "repeated_target",
}


@pytest.mark.parametrize(("text", "code"), WARNINGS.items())
def test_lint_warns_of_what_is_seldom_meant(text: str, code: str) -> None:
    (found,) = diagnostics(text)
    assert (found["severity"], found["code"]) == ("warning", code)


GOOD = [
    'when a in [1, 2.5, 20%] and name > "m" then notify("a:b")',
    'when any x in items: (any x in x.parts: (x > 1) and y) then notify("a:b")',
]


@pytest.mark.parametrize("text", GOOD)
def test_a_good_rule_has_no_diagnostics(text: str) -> None:
    assert diagnostics(text) == []


def test_a_condition_alone_is_not_a_rule() -> None:
    for text in ('when a > 5 then notify("a:b")', 'a > 5 then notify("a:b")'):
        with pytest.raises(RuleError, match="a condition is expected here, not a rule"):
            parse_condition(text)


def test_a_condition_alone_matches_and_is_explained() -> None:
    condition = parse_condition("amount > 500")
    assert condition.matches({"amount": 501}) is True
    assert condition.format() == "amount > 500"
    assert str(condition.explain({"amount": 320})).startswith(
        "amount > 500 is false: amount was 320"
    )
