"""The surroundings of the place where reading stopped, as questions that mistakes are told by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rules_dsl.lexer import Token
from rules_dsl.words import CLAUSES, OPERATOR_WORDS, QUANTIFIERS, RESERVED

COMPARISONS: Final = frozenset({"==", "!=", "<", "<=", ">", ">="})
ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%", "??"})
_CLOSING: Final = {")": "(", "]": "["}
_ENDING_WORDS: Final = frozenset({"event", "true", "false", "null"})
_STARTING_WORDS: Final = _ENDING_WORDS | QUANTIFIERS | {"exists", "missing", "not"}


@dataclass(frozen=True, slots=True)
class View:
    """A list of tokens, and the index of the one that did not fit (or of the end)."""

    tokens: Sequence[Token]
    at: int
    what: str  # "rule", "condition" or "value": what the text was to be

    @property
    def token(self) -> Token | None:
        """The token that did not fit; None at the end of the text."""
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    @property
    def word(self) -> str:
        """The token that did not fit, as it is written; empty at the end."""
        return self.token.text if self.token else ""

    def back(self, steps: int) -> Token | None:
        """The token so many steps before."""
        return self.tokens[self.at - steps] if self.at >= steps else None

    def ahead(self, steps: int) -> Token | None:
        """The token so many steps after."""
        return self.tokens[self.at + steps] if self.at + steps < len(self.tokens) else None

    def follows(self, *texts: str) -> bool:
        """Whether the token before is one of these words or symbols."""
        before = self.back(1)
        return before is not None and (before.is_word(*texts) or before.is_symbol(*texts))

    def at_word(self, *words: str) -> bool:
        """Whether the token that did not fit is one of these words."""
        return self.token is not None and self.token.is_word(*words)

    @property
    def in_rule_head(self) -> bool:
        """Whether the condition has not yet begun."""
        return self.what == "rule" and not any(
            token.is_word("when") for token in self.tokens[: self.at]
        )

    @property
    def after_then(self) -> bool:
        """Whether the condition is over."""
        return any(token.is_word("then") for token in self.tokens[: self.at])

    @property
    def in_resolve(self) -> bool:
        """Whether the condition of a `resolve when` goes on."""
        words = [token.text for token in self.tokens[: self.at] if token.is_word("then", "when")]
        return "then" in words and words[-1] == "when" and not self.at_word(*CLAUSES)

    @property
    def opened(self) -> Token | None:
        """The innermost bracket that is still open."""
        brackets: list[Token] = []
        for token in self.tokens[: self.at]:
            if token.is_symbol("(", "["):
                brackets.append(token)
            elif (
                brackets
                and token.is_symbol(*_CLOSING)
                and brackets[-1].text == _CLOSING[token.text]
            ):
                brackets.pop()
        return brackets[-1] if brackets else None

    @property
    def after_value(self) -> bool:
        """Whether a value has just ended."""
        before = self.back(1)
        if before is None:
            return False
        if before.kind == "word":
            reserved = before.text in RESERVED and not before.after_dot
            return not reserved or before.text in _ENDING_WORDS
        return before.kind in ("number", "text") or before.is_symbol(")", "]")

    @property
    def at_value(self) -> bool:
        """Whether a value or a condition begins here."""
        token = self.token
        if token is None:
            return False
        if token.kind == "word":
            return token.text not in RESERVED or token.text in _STARTING_WORDS
        return token.kind in ("number", "text") or token.is_symbol("(", "[")

    @property
    def at_operator(self) -> bool:
        """Whether an operator between two values stands here."""
        token = self.token
        return token is not None and (
            token.is_symbol(*COMPARISONS, *ARITHMETIC) or token.is_word(*OPERATOR_WORDS)
        )

    @property
    def compared(self) -> Token | None:
        """The comparison that the value before this place already belongs to."""
        depth = 0
        for token in reversed(self.tokens[: self.at]):
            depth += token.is_symbol(")", "]") - token.is_symbol("(", "[")
            if depth < 0 or (depth == 0 and token.is_word("and", "or", "not", "when")):
                return None
            if depth == 0 and (
                token.is_symbol(*COMPARISONS) or token.is_word(*OPERATOR_WORDS, "is")
            ):
                return token
        return None

    @property
    def quantifier(self) -> int | None:
        """How many tokens ago a quantifier began whose head is not finished."""
        for steps in range(1, self.at + 1):
            token = self.tokens[self.at - steps]
            if token.is_word(*QUANTIFIERS):
                return steps
            if token.is_symbol("(", ")", ",") or token.is_word("and", "or", "not", "when"):
                return None
        return None
