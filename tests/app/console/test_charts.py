"""Charts: what they draw is what they say."""

from datetime import UTC, datetime, timedelta

import pytest

from app.console.charts import Point, area, bars, ceiling, sparkline

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def points(*values: float | None) -> list[Point]:
    return [Point(BEGIN + timedelta(minutes=n), value) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.3, 0.5), (1, 1), (1.1, 2), (7, 10), (23, 50), (1000, 1000)]
)
def test_scales_end_at_round_numbers(value: float, top: float) -> None:
    assert ceiling(value) == pytest.approx(top)


def test_a_gap_in_what_is_known_is_a_gap_in_the_curve() -> None:
    assert area(points(1, 2, 3), "Events").count('class="stroke"') == 1
    assert area(points(1, None, 3), "Events").count('class="stroke"') == 2


def test_a_chart_says_in_words_what_it_shows() -> None:
    assert 'aria-label="Events: at most 3 a minute"' in area(points(1, 3), "Events", "a minute")
    assert 'aria-label="Events: no data"' in area([], "Events")


def test_large_numbers_are_written_out() -> None:
    assert "at most 9,000" in area(points(9000), "Events")
    assert ">10,000<" in area(points(9000), "Events")


def test_a_moment_between_gaps_is_seen() -> None:
    assert 'class="stroke" d="M298.5 0.0L301.5 0.0"' in area(points(None, 5, None), "Events")


def test_names_never_become_markup() -> None:
    assert "<b>" not in bars(points(1), "<b>") + sparkline([1], "<b>") + area(points(1), "<b>")


def test_each_value_has_its_bar_and_nothing_has_none() -> None:
    assert bars(points(1, 0, 2), "Matches").count("<rect") == 2
    assert sparkline([1, 0, 2, 3], "Fires").count("<rect") == 3
