"""UUIDv7 keys: RFC 9562, with the sub-millisecond fraction in `rand_a` (its method 3).

They sort by time, so that the primary key of `events` is also its partition key and its order.
"""

import os
from array import array
from collections import deque
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID, SafeUUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION_BITS = 12
_RANDOM_BITS = 62
_PLACE_BITS = 20
_RANDOM_BESIDE_PLACE = _RANDOM_BITS - _PLACE_BITS
_BESIDE_PLACE = (1 << _RANDOM_BESIDE_PLACE) - 1
# Drawn from the system by the page: a call for each key lets another thread go first each time.
_DRAW_BYTES = 4096
_drawn: deque[int] = deque()
_put = object.__setattr__
# Nothing that a parent has drawn may be a child's too.
os.register_at_fork(after_in_child=_drawn.clear)


def uuid7(now: datetime, place: int = 0) -> UUID:
    """A new key for the moment `now`; keys of later microseconds are greater, and those of later places among them.

    `place` is below 1,048,576; 42 random bits remain beside it.
    """
    random = random_bits()
    if place:
        random = (place << _RANDOM_BESIDE_PLACE) | (random & _BESIDE_PLACE)
    return _at(now, random)


def uuid7_floor(moment: datetime) -> UUID:
    """The least key that `uuid7(moment)` could give: a bound for ranges of time."""
    return _at(moment, 0)


def text_of(key: UUID) -> str:
    """As `str`, in half its time."""
    digits = f"{key.int:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def moment_of(key: UUID) -> datetime:
    """When a key was made, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=key.int >> 80)


def random_bits() -> int:
    """62 random bits."""
    while True:
        try:
            return _drawn.pop() >> (64 - _RANDOM_BITS)
        except IndexError:
            _drawn.extend(array("Q", os.urandom(_DRAW_BYTES)))


def _at(moment: datetime, random: int) -> UUID:
    # Past the constructor, most of which finds out what it was given.
    key = UUID.__new__(UUID)
    _put(key, "int", _head(moment) | random)
    _put(key, "is_safe", SafeUUID.unknown)
    return key


# All events of a batch are of one moment.
@lru_cache(maxsize=16)
def _head(moment: datetime) -> int:
    # Whole numbers all the way, and nothing before 1970: a key has no room for it.
    microseconds = max(0, (moment - _EPOCH) // timedelta(microseconds=1))
    millis, micros = divmod(microseconds, 1000)
    fraction = (micros << _FRACTION_BITS) // 1000
    return (millis << 80) | (7 << 76) | (fraction << 64) | (2 << _RANDOM_BITS)
