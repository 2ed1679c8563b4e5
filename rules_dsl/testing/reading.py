"""The reader of test blocks: tokens and JSON to tests, or the first mistake in them."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NoReturn

from rules_dsl import literals
from rules_dsl.errors import RuleError, did_you_mean
from rules_dsl.lexer import Token, tokens
from rules_dsl.source import Source, Span
from rules_dsl.spelling import mistake, spelling_mistake
from rules_dsl.testing.blocks import BEGIN, SECOND, Expected, OpenAlert, Step, Test
from rules_dsl.testing.events import read_event
from rules_dsl.testing.times import FIRST_YEAR, LAST_YEAR, YEARS, moment

MOST_BYTES: Final = 65_536
MOST_TESTS: Final = 100
LONGEST_TEST: Final = 250  # steps
MOST_EVENTS: Final = 500  # of all tests of a rule
LONGEST: Final = 366 * 86_400
OUTCOMES: Final = {"true": True, "false": False, "unknown": None}
VERDICTS: Final = ("throttled", "grouped", "held", "dropped", "inhibited")
EXPECTED: Final = (*OUTCOMES, *VERDICTS, "resolved", "notify", "message")
_KINDS: Final = {
    "outcome": "of true, false and unknown",
    "verdict": "reason to tell nobody",
    "resolved": "end of an alert",
    "notify": "notify(…)",
}
_TIMES: Final = re.compile("x[0-9]+")
STEPS: Final = ("at", "after", "expect", "open", "closed", "test")
EXAMPLE: Final = 'as in test "a big order" {"type": "order", "amount": 750} expect true'


def read_tests(text: str | Source) -> tuple[Test, ...]:
    """The tests of a text that holds nothing else; RuleError says what is wrong, and where."""
    source = Source.of(text) if isinstance(text, str) else text
    _check_size(source)
    return _Reader(source).tests()


def _check_size(source: Source) -> None:
    for index, character in enumerate(source.text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            told = f"a test cannot hold the character U+{ord(character):04X}"
            raise mistake(source, index, index + 1, told, None)
    size = len(source.text.encode())
    if size > MOST_BYTES:
        at = len(source.text.encode()[:MOST_BYTES].decode(errors="ignore"))
        told = f"the tests of a rule have at most {MOST_BYTES:,} bytes, these have {size:,}"
        raise mistake(source, at, at + 1, told, "leave some out", "limit")


class _Reader:
    """One reading, and where it is."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._tokens: Sequence[Token] = tokens(source.text)
        self._at = 0
        self._begin = self._now = BEGIN
        self._events = 0

    def tests(self) -> tuple[Test, ...]:
        """All tests."""
        found: dict[str, Test] = {}
        while self._token is not None:
            begins = self._token
            test = self._test()
            if test.name in found:
                hint = "names tell tests apart"
                self._refuse(f"a second test is named `{test.name}`", hint, begins, "name")
            found[test.name] = test
            if len(found) > MOST_TESTS:
                self._refuse(f"a rule has at most {MOST_TESTS} tests", None, begins, "limit")
        return tuple(found.values())

    @property
    def _token(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> Token | None:
        return self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None

    def _word(self, *words: str) -> bool:
        return self._token is not None and self._token.is_word(*words)

    def _symbol(self, symbol: str) -> bool:
        return self._token is not None and self._token.is_symbol(symbol)

    def _test(self) -> Test:
        begins = self._token
        assert begins is not None
        if not self._word("test"):
            self._lost()
        self._at += 1
        name = self._text("a test's name is a string", EXAMPLE)
        self._begin = self._now = BEGIN
        steps: list[Step] = []
        while self._token is not None and not self._word("test"):
            steps.append(self._step(first=not steps))
            if len(steps) > LONGEST_TEST:
                self._refuse(f"a test has at most {LONGEST_TEST} steps", None, begins, "limit")
        if not steps:
            self._refuse("a test needs an event, or a time", EXAMPLE, self._token)
        if not any(step.expects for step in steps):
            self._refuse("this test expects nothing, so it cannot fail", EXAMPLE, begins)
        return Test(name, self._begin, tuple(steps), self._source.span(begins.start, begins.end))

    def _step(self, *, first: bool) -> Step:
        begins = self._token
        assert begins is not None
        timed = self._time(first=first)
        times, counted = self._times(), self._token is not begins and not timed
        alert, event = None, None
        if self._symbol("{"):
            event = self._event()
            self._events += times
        elif self._word("open", "closed") and not counted:
            alert = self._alert()
        elif times > 1:
            self._refuse("what is repeated is an event", EXAMPLE, self._token)
        elif not (timed or self._word("expect")):
            self._lost()
        if self._events > MOST_EVENTS:
            self._refuse(
                f"the tests of a rule have at most {MOST_EVENTS:,} events", None, begins, "limit"
            )
        expects = self._expects()
        if alert and expects:
            self._refuse("an alert of another rule comes to nothing itself", None, begins)
        if not alert and event is None:
            self._check_time_alone(expects)
        return Step(
            self._now, event, times, alert, expects, self._source.span(begins.start, begins.end)
        )

    def _time(self, *, first: bool) -> bool:
        if not self._word("at", "after"):
            return False
        word = self._token
        assert word is not None
        self._at += 1
        if word.text == "at" and self._token is not None and self._token.kind == "text":
            now = self._moment()
            self._begin = now if first else self._begin
        else:
            hint = (
                'as in at 5m or at "2026-01-31T09:00:00Z"'
                if word.text == "at"
                else "as in after 5m"
            )
            span = self._duration(f"`{word.text}` takes a duration", hint)
            now = (self._begin if word.text == "at" else self._now) + span
        if now < self._now and not first:
            self._refuse("time does not go backwards", "write the steps in order", word)
        if now not in YEARS:
            told = f"a test lies between the years {FIRST_YEAR} and {LAST_YEAR}"
            self._refuse(told, None, word, "limit")
        if now - self._begin > LONGEST * SECOND:
            self._refuse("a test lasts 366 days at most", None, word, "limit")
        self._now = now
        return True

    def _moment(self) -> int:
        token = self._token
        now = moment(self._text("", None))
        if now is None:
            hint = 'as in at "2026-01-31T09:00:00Z"'
            self._refuse("a time is RFC 3339, with its offset", hint, token)
        return now

    def _duration(self, told: str, hint: str) -> int:
        token = self._token
        if token is None or token.kind != "number" or token.text[-1] not in "wdhms":
            self._refuse(told, hint, token)
        self._check_spelling(token)
        value = literals.number(token.text)
        self._at += 1
        return int(min(value, LONGEST + 1)) * SECOND

    def _times(self) -> int:
        token = self._token
        if token is None or token.kind != "word" or not _TIMES.fullmatch(token.text):
            return 1
        self._at += 1
        times = int(token.text[1:]) if len(token.text) < 6 else MOST_EVENTS + 1
        if not 2 <= times <= MOST_EVENTS:
            hint = "as in x5"
            self._refuse(f"an event is repeated 2 to {MOST_EVENTS:,} times", hint, token)
        return times

    def _event(self) -> dict[str, object]:
        assert self._token is not None
        start = self._token.start
        event, end = read_event(self._source, start)
        while self._at < len(self._tokens) and self._tokens[self._at].start < end:
            self._at += 1
        if event.get("time") is not None and moment(event["time"]) is None:
            hint = 'as in "time": "2026-01-31T09:00:00Z"'
            told = "an event's `time` is RFC 3339, with its offset"
            raise mistake(self._source, start, end, told, hint)
        return event

    def _alert(self) -> OpenAlert:
        word = self._token
        assert word is not None
        self._at += 1
        hint = f'as in {word.text}("db-down", {{"region": "eu"}})'
        self._expect_symbol("(", f"after `{word.text}` comes a rule's name in parentheses", hint)
        name = self._text(f"`{word.text}` takes a rule's name", hint)
        fields = None
        if self._symbol(","):
            self._at += 1
            if not self._symbol("{"):
                self._refuse(
                    "the key of an alert is written as the fields that hold it", hint, self._token
                )
            fields = self._event()
        self._expect_symbol(")", "a `)` is missing", hint)
        return OpenAlert(name, fields, word.text == "open", self._source.span(word.start, word.end))

    def _expects(self) -> tuple[Expected, ...]:
        if not self._word("expect"):
            return ()
        self._at += 1
        found: list[Expected] = []
        while self._word(*EXPECTED):
            one = self._expected()
            if one.kind != "message" and any(each.kind == one.kind for each in found):
                told = f"an `expect` names one {_KINDS[one.kind]} only"
                raise _at_span(self._source, one.span, told)
            found.append(one)
        if not found:
            hint = did_you_mean(self._token.text, EXPECTED) if self._token else None
            choice = f"{', '.join(EXPECTED[:-1])} and {EXPECTED[-1]}"
            told = f"after `expect` comes one or more of {choice}"
            self._refuse(told, hint or EXAMPLE, self._token)
        return tuple(found)

    def _expected(self) -> Expected:
        token = self._token
        assert token is not None
        self._at += 1
        span = self._source.span(token.start, token.end)
        word = token.text
        if word in OUTCOMES:
            return Expected("outcome", OUTCOMES[word], span)
        if word in VERDICTS:
            return Expected("verdict", word, span)
        if word == "resolved":
            return Expected("resolved", True, span)
        if word == "message":
            return Expected(
                "message", self._text("`message` takes a string", 'as in message "Order 17"'), span
            )
        return Expected("notify", self._targets(), span)

    def _targets(self) -> tuple[str, ...]:
        hint = 'as in notify("slack:#ops"), or notify() for nobody'
        self._expect_symbol("(", "after `notify` come its targets in parentheses", hint)
        found: list[str] = []
        while not self._symbol(")"):
            if found:
                self._expect_symbol(",", "expected `,` or `)` after a target", None)
            found.append(self._text("a target is a string", hint))
        self._at += 1
        return tuple(sorted(set(found)))

    def _check_time_alone(self, expects: tuple[Expected, ...]) -> None:
        for each in expects:
            if each.kind == "outcome" and each.value is None:
                hint = "write true or false: whether the rule came true by time alone"
                raise _at_span(self._source, each.span, "nothing is unknown without an event", hint)

    def _text(self, told: str, hint: str | None) -> str:
        token = self._token
        if token is None or token.kind not in ("text", "open_text"):
            self._refuse(told, hint, token)
        self._check_spelling(token)
        self._at += 1
        return literals.text(token.text)[0]

    def _check_spelling(self, token: Token) -> None:
        found = spelling_mistake(self._source, [replace(token, after_dot=False)])
        if found:
            raise found

    def _expect_symbol(self, symbol: str, told: str, hint: str | None) -> None:
        if not self._symbol(symbol):
            self._refuse(told, hint, self._token)
        self._at += 1

    def _lost(self) -> NoReturn:
        """A token that begins no step."""
        token = self._token
        if token is None:
            self._refuse("the test ends too early", EXAMPLE, None)
        hint = did_you_mean(token.text, STEPS)
        clause = (
            "clauses stand before the tests" if token.kind == "word" else "an event stands in { }"
        )
        self._refuse(f"`{token.text[:30]}` has no place in a test", hint or clause, token)

    def _refuse(
        self, told: str, hint: str | None, token: Token | None, code: str = "syntax"
    ) -> NoReturn:
        last = self._tokens[-1].end if self._tokens else 0
        start, end = (token.start, token.end) if token else (last, last)
        raise mistake(self._source, start, end, told, hint, code)


def _at_span(source: Source, span: Span, told: str, hint: str | None = None) -> RuleError:
    return RuleError(told, code="syntax", text=source.whole, span=span, hint=hint)
