"""The time that an event, or a rule, may take of a process."""

import signal
import time
from types import SimpleNamespace
from uuid import uuid4

import pytest

from app.services.blame import TooLong
from tasks import patience
from tasks.patience import patience_with_rules


@pytest.fixture(autouse=True)
def of_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "current_process", lambda: SimpleNamespace(daemon=True))


def test_each_rule_has_its_second_and_nothing_runs_on_behind_the_last() -> None:
    with patience_with_rules(uuid4()) as begin:
        for _ in range(3):
            begin(uuid4())
            left, _ = signal.getitimer(signal.ITIMER_PROF)
            assert left == pytest.approx(patience.RULE_SECONDS, abs=0.02)
            _work(0.05)
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0


def test_many_rules_that_each_keep_to_their_second_end_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "RULES_SECONDS", 0.1)
    with pytest.raises(TooLong):
        _ask(10)
    assert signal.getitimer(signal.ITIMER_PROF)[0] == 0


def _ask(rules: int) -> None:
    with patience_with_rules(uuid4()) as begin:
        for _ in range(rules):
            begin(uuid4())
            _work(0.05)


def _work(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
