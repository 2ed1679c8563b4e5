"""Who is quick and who is slow, by the answers of late."""

import pytest

from tasks import latencies
from tasks.latencies import QUICK_SECONDS, SLOW_SECONDS, Latencies


def test_only_who_is_known_to_be_quick_is_quick() -> None:
    seen = Latencies()
    assert not seen.is_quick("webhook:erp")
    seen.note("webhook:erp", QUICK_SECONDS / 10)
    assert seen.is_quick("webhook:erp")
    assert not seen.is_quick("webhook:other")


def test_who_is_not_known_is_taken_for_slow() -> None:
    seen = Latencies()
    assert seen.is_slow("webhook:erp")
    seen.note("webhook:erp", 0.05)
    assert not seen.is_slow("webhook:erp")
    assert not seen.is_quick("webhook:erp")
    for _ in range(20):
        seen.note("webhook:erp", 2 * SLOW_SECONDS)
    assert seen.is_slow("webhook:erp")


def test_one_long_answer_does_not_make_a_quick_receiver_slow_and_many_do() -> None:
    seen = Latencies()
    seen.note("webhook:erp", QUICK_SECONDS / 10)
    seen.note("webhook:erp", 3 * QUICK_SECONDS)
    assert seen.is_quick("webhook:erp")
    for _ in range(5):
        seen.note("webhook:erp", 3 * QUICK_SECONDS)
    assert not seen.is_quick("webhook:erp")


def test_no_more_are_remembered_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latencies, "REMEMBERED", 2)
    seen = Latencies()
    for name in ("a", "b", "c"):
        seen.note(name, 0.0)
    assert [seen.is_quick(name) for name in ("a", "b", "c")] == [False, False, True]
