"""Keys sort by time and carry it."""

import os
import pickle
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.ids import text_of, uuid7, uuid7_floor

moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)


@given(moments)
def test_a_key_is_a_uuid_of_version_7_that_holds_its_milliseconds(moment: datetime) -> None:
    key = uuid7(moment)
    assert (key.version, key.variant) == (7, "specified in RFC 4122")
    assert abs((key.int >> 80) - moment.timestamp() * 1000) <= 1


@given(moments)
def test_a_key_is_like_one_that_was_made_from_its_text(moment: datetime) -> None:
    key = uuid7(moment)
    made = UUID(text_of(key))
    assert text_of(key) == str(key) == str(made)
    assert (key, hash(key), repr(key)) == (made, hash(made), repr(made))
    assert pickle.loads(pickle.dumps(key)) == made
    assert key.is_safe is made.is_safe


@given(moments, st.integers(2, 10**12))
def test_a_later_key_is_greater(moment: datetime, later: int) -> None:
    assert uuid7(moment) < uuid7(moment + timedelta(microseconds=later))


@given(moments)
def test_the_floor_of_a_moment_is_not_above_any_of_its_keys(moment: datetime) -> None:
    assert uuid7_floor(moment) <= uuid7(moment)


def test_keys_of_one_moment_sort_by_their_place_in_the_batch() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    keys = [uuid7(now, place) for place in range(1, 500)]
    assert keys == sorted(keys)
    assert all(key.version == 7 for key in keys)


def test_a_forked_process_has_keys_of_its_own() -> None:
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    uuid7(now)
    reading, writing = os.pipe()
    if not (child := os.fork()):
        os.write(writing, uuid7(now).bytes)
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 16)
    os.close(reading)
    os.close(writing)
    assert theirs != uuid7(now).bytes
