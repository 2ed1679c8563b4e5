"""What commands tell, in words."""

import pytest

from app.cli.local.told import counted


@pytest.mark.parametrize(
    ("number", "told"), [(0, "0 rules"), (1, "1 rule"), (2, "2 rules"), (3_000, "3,000 rules")]
)
def test_one_thing_is_told_as_one(number: int, told: str) -> None:
    assert counted(number, "rule") == told


def test_a_noun_may_have_a_plural_of_its_own() -> None:
    assert counted(1, "match", "matches") == "1 match"
    assert counted(2, "match", "matches") == "2 matches"
