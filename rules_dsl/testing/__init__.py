"""Tests of rules: blocks of text below a sentence, and what comes of playing them.

**Blocks** (`blocks`) are what the text says; **reading** (`reading`) makes them of tokens and JSON, or says what is
wrong and where. **A stage** (`stage`) is one rule with its memory and a clock: the very machine that decides live.
**Playing** (`playing`) puts the steps of a test on it and compares.
"""

from rules_dsl.testing.blocks import Test
from rules_dsl.testing.playing import MOST_STEPS, Failure, TestResult, run_tests
from rules_dsl.testing.reading import (
    LONGEST_TEST,
    MOST_BYTES,
    MOST_EVENTS,
    MOST_TESTS,
    read_tests,
)

__all__ = [
    "LONGEST_TEST",
    "MOST_BYTES",
    "MOST_EVENTS",
    "MOST_STEPS",
    "MOST_TESTS",
    "Failure",
    "Test",
    "TestResult",
    "read_tests",
    "run_tests",
]
