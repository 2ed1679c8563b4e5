"""When a failed attempt is repeated, as a table."""

import pytest

from app.config import RetryPolicy
from app.services.retry import is_late, next_delay

POLICY = RetryPolicy(base=5, factor=4, maximum=36_000, attempts=10)


@pytest.mark.parametrize(
    ("tried", "seconds"),
    [(1, 5), (2, 20), (3, 80), (4, 320), (5, 1280), (6, 5120), (7, 20480), (8, 36000), (9, 36000)],
)
def test_the_delay_grows_exponentially_up_to_its_maximum(tried: int, seconds: float) -> None:
    assert next_delay(POLICY, tried, 0) == seconds


@pytest.mark.parametrize("tried", [10, 11, 100])
def test_there_is_no_delay_after_the_last_attempt(tried: int) -> None:
    assert next_delay(POLICY, tried, 0) is None


@pytest.mark.parametrize(("spread", "seconds"), [(-1, 4), (0, 5), (0.5, 5.5), (1, 6)])
def test_jitter_moves_the_delay_by_a_fifth_at_most(spread: float, seconds: float) -> None:
    assert next_delay(POLICY, 1, spread) == pytest.approx(seconds)


@pytest.mark.parametrize(("tried", "most", "late"), [(4, 10, False), (5, 10, True), (2, 3, False)])
def test_from_the_fifth_attempt_on_a_message_is_late(tried: int, most: int, late: bool) -> None:
    assert is_late(RetryPolicy(attempts=most), tried) is late


@pytest.mark.parametrize("most", [1, 3])
def test_the_last_attempt_is_late_in_any_case(most: int) -> None:
    assert is_late(RetryPolicy(attempts=most), most)


def test_a_huge_exponent_is_the_maximum_and_no_overflow() -> None:
    policy = RetryPolicy(base=1e300, factor=100, maximum=60, attempts=1000)
    assert next_delay(policy, 900, 0) == 60
