"""Who is quick and who is slow, by the answers of late."""

import pytest

from tasks import latencies
from tasks.latencies import SLOW_SECONDS, Latencies


def test_of_whom_nothing_is_known_is_not_slow() -> None:
    seen = Latencies()
    assert not seen.is_known("webhook:erp")
    assert not seen.is_slow("webhook:erp")


def test_one_long_answer_does_not_make_a_quick_receiver_slow_and_many_do() -> None:
    seen = Latencies()
    seen.note("webhook:erp", 0.002)
    seen.note("webhook:erp", 3 * SLOW_SECONDS)
    assert seen.is_known("webhook:erp")
    assert not seen.is_slow("webhook:erp")
    for _ in range(5):
        seen.note("webhook:erp", 3 * SLOW_SECONDS)
    assert seen.is_slow("webhook:erp")
    assert not seen.is_slow("webhook:other")


def test_no_more_are_remembered_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latencies, "REMEMBERED", 2)
    seen = Latencies()
    for name in ("a", "b", "c"):
        seen.note(name, 1.0)
    assert [seen.is_known(name) for name in ("a", "b", "c")] == [False, False, True]
