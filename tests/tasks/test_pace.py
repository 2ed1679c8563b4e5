"""The pace of what comes in, by a clock that the test holds."""

import pytest

from tasks.pace import WINDOW, Pace


def after(rate: float, seconds: float) -> tuple[Pace, float]:
    """A pace at which something has come so often for so long, and the time."""
    pace, moment = Pace(), 100.0
    for _ in range(round(rate * seconds)):
        moment += 1 / rate
        pace.came(1, moment)
    return pace, moment


def test_nothing_came_and_nothing_is_likely_to_come() -> None:
    assert Pace().company(0.02, 100.0) == 0


@pytest.mark.parametrize("rate", [50, 200, 1000])
def test_it_comes_to_the_rate_at_which_things_come(rate: int) -> None:
    pace, moment = after(rate, 5 * WINDOW)
    assert pace.company(1.0, moment) == pytest.approx(rate, rel=0.3)


def test_what_comes_at_once_counts_as_what_comes_one_by_one() -> None:
    pace = Pace()
    for step in range(10):
        pace.came(20, 100.0 + step * 0.02)
    assert pace.company(1.0, 100.18) == pytest.approx(1000, rel=0.3)


def test_a_burst_is_soon_forgotten() -> None:
    pace, moment = after(1000, 5 * WINDOW)
    assert pace.company(0.02, moment + 5 * WINDOW) < 0.2
