"""A tally's chart stays small, however far apart its events lie, and loses none of them."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from app.models.notifications import Cause
from app.services.backtesting.tally import (
    MOST_COLUMNS,
    SECOND,
    WIDTHS,
    Room,
    Tally,
    Told,
    widen_together,
)
from app.services.backtesting.together import together

MINUTE, HOUR, DAY = 60, 3600, 86_400
# A Sunday at noon.
BEGIN = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())


def tally(*at: int, width: int = MINUTE) -> Tally:
    """Of matches at some seconds, each of which would notify two."""
    made = Tally(width, Room(0))
    for each in at:
        made.match(each * SECOND, None, "", None)
        made.tell(Told(each * SECOND, Cause.EVENT, None, ""), ("a", "b"), None)
        made.tell(Told(each * SECOND, Cause.EVENT, None, "", ("throttled", None, None)), (), None)
    return made


def chart_of(made: dict[str, Any]) -> list[dict[str, Any]]:
    """The columns, once they are seen to be few, whole and in their places."""
    columns: list[dict[str, Any]] = made["chart"]["columns"]
    begins = [datetime.fromisoformat(one["at"]) for one in columns]
    width = timedelta(seconds=made["chart"]["seconds"])
    assert len(columns) <= MOST_COLUMNS
    assert all(later - sooner >= width for sooner, later in pairwise(begins))
    assert all(each.timestamp() % width.total_seconds() == 0 for each in begins)
    assert sum(one["matches"] for one in columns) == made["matches"]
    assert sum(one["notifications"] for one in columns) == made["notifications"]
    assert sum(one["held"] for one in columns) == sum(made["held"].values())
    return columns


def test_two_years_that_were_imported_in_an_hour_make_few_columns() -> None:
    made = tally(*(BEGIN + 4 * HOUR * n for n in range(6 * 730))).shown()
    assert made["matches"] == 6 * 730
    assert made["chart"]["seconds"] == 7 * DAY
    assert len(chart_of(made)) == pytest.approx(730 / 7, abs=2)


def test_as_many_as_there_may_be_stay_as_they_are() -> None:
    made = tally(*(BEGIN + MINUTE * n for n in range(MOST_COLUMNS)))
    assert len(chart_of(made.shown())) == MOST_COLUMNS
    assert made.width == MINUTE
    made.match((BEGIN - MINUTE) * SECOND, None, "", None)
    assert made.width == 5 * MINUTE


def test_centuries_make_few_columns_too() -> None:
    made = tally(*(BEGIN - 30 * DAY * n for n in range(12 * 500)), width=WIDTHS[-1]).shown()
    assert made["chart"]["seconds"] > WIDTHS[-1]
    assert made["chart"]["seconds"] % WIDTHS[-1] == 0
    assert len(chart_of(made)) > MOST_COLUMNS // 4


def test_two_sides_have_columns_of_one_width() -> None:
    wide, narrow = tally(*(BEGIN + DAY * n for n in range(500))), tally(BEGIN, BEGIN + DAY)
    widen_together([wide, narrow])
    assert wide.width == narrow.width > MINUTE
    assert len(chart_of(narrow.shown())) <= 2


def test_many_rules_together_make_few_columns() -> None:
    each = [tally(*(BEGIN + HOUR * n for n in range(place, 500, 7))) for place in range(7)]
    each.append(tally(*(BEGIN + DAY * n for n in range(500))))
    assert len({one.width for one in each}) == 2
    made = together([str(n) for n in range(8)], each)
    assert made["matches"] == 1000
    assert made["chart"]["seconds"] >= each[-1].width
    chart_of(made)


def test_the_first_day_that_has_a_date_has_its_column() -> None:
    first = int(datetime(1, 1, 1, tzinfo=UTC).timestamp())
    made = tally(first, width=WIDTHS[-1])
    chart_of(made.shown())
    for n in range(MOST_COLUMNS):
        made.match((BEGIN - 365 * DAY * n) * SECOND, None, "", None)
    assert made.width > WIDTHS[-1]
    assert chart_of(made.shown())[0]["at"] < "0100"
