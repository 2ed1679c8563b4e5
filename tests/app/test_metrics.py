"""What is counted is written down, whatever fails meanwhile, and whoever reads it is not held up."""

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread, current_thread

import pytest
from flask import Flask
from sqlalchemy import create_engine, text
from structlog.testing import capture_logs

from app import metrics
from app.extensions import db
from app.metrics import RULES_TRIGGERED, Totals, TotalsCollector, totals
from tests.app.client import Client
from tests.app.helpers import no_threads
from tests.conftest import PATIENCE


@pytest.fixture
def process(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Totals:
    """What counts in a process that writes down often."""
    monkeypatch.setattr(metrics, "FLUSH_SECONDS", 0.01)
    return Totals()


def test_what_could_not_be_written_down_is_kept_for_the_next_time(app: Flask) -> None:
    process = Totals()
    process.bind(create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    process.count(RULES_TRIGGERED, "Kept")
    process.flush()
    assert kept(process, "Kept") == [1]


def test_an_outage_is_told_once_until_it_is_over(app: Flask) -> None:
    process, away = Totals(), create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")
    with capture_logs() as told:
        for engine in (away, away, db.engine, away):
            process.bind(engine)
            process.count(RULES_TRIGGERED, "Kept")
            process.flush()
    assert [one["event"] for one in told] == ["metrics_not_written"] * 2


def kept(process: Totals, rule: str) -> list[float]:
    """What a process has counted of a rule, once its database is there."""
    process.bind(db.engine)
    process.flush()
    [family] = [f for f in TotalsCollector(db.engine).collect() if f.name == "rules_triggered"]
    return [s.value for s in family.samples if s.labels == {"rule": rule}]


def failing(process: Totals, error: type[BaseException]) -> SimpleQueue[Thread]:
    """Bind to a database with which nobody can connect; who has tried."""
    tried = SimpleQueue[Thread]()

    def connect() -> None:
        tried.put(current_thread())
        raise error

    process.bind(create_engine("postgresql+psycopg://", creator=connect))
    return tried


@pytest.mark.parametrize("error", [MemoryError, SystemExit])
def test_whatever_keeps_it_from_being_written_down_loses_no_count(
    app: Flask, error: type[BaseException]
) -> None:
    process = Totals()
    failing(process, error)
    process.count(RULES_TRIGGERED, "Kept")
    with suppress(SystemExit):
        process.flush()
    assert kept(process, "Kept") == [1]


def test_the_thread_that_writes_it_down_outlives_what_fails(process: Totals) -> None:
    tried = failing(process, MemoryError)
    process.count(RULES_TRIGGERED, "Alive")
    assert tried.get(timeout=PATIENCE) is tried.get(timeout=PATIENCE)
    assert kept(process, "Alive") == [1]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_where_the_thread_has_ended_the_next_count_begins_another(process: Totals) -> None:
    tried = failing(process, SystemExit)
    process.count(RULES_TRIGGERED, "Again")
    ended = tried.get(timeout=PATIENCE)
    ended.join(PATIENCE)
    process.count(RULES_TRIGGERED, "Again")
    assert tried.get(timeout=PATIENCE) is not ended
    assert kept(process, "Again") == [2]


def test_where_no_thread_is_to_be_had_counting_fails_nobody_and_the_next_count_tries_again(
    process: Totals,
) -> None:
    tried = failing(process, MemoryError)
    with no_threads():
        process.count(RULES_TRIGGERED, "Alone")
    process.count(RULES_TRIGGERED, "Alone")
    tried.get(timeout=PATIENCE)
    assert kept(process, "Alone") == [2]


def test_who_has_all_written_down_waits_for_what_another_thread_is_writing(app: Flask) -> None:
    process = Totals()
    process.bind(db.engine)
    process.count(RULES_TRIGGERED, "Slow")
    with db.engine.begin() as other, ThreadPoolExecutor(2) as pool:
        other.execute(text("LOCK TABLE metric_totals IN EXCLUSIVE MODE"))
        flushes = [pool.submit(process.flush) for _ in range(2)]
        assert wait(flushes, timeout=0.5).done == set()
        other.rollback()
        assert wait(flushes, timeout=30).not_done == set()


def test_a_scrape_is_answered_while_another_thread_writes(
    app: Flask, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "TURN_SECONDS", 0.1)
    waits = text(
        "SELECT 1 FROM pg_locks WHERE relation = 'metric_totals'::regclass AND NOT granted"
    )
    with db.engine.begin() as other, ThreadPoolExecutor(1) as pool:
        other.execute(text("LOCK TABLE metric_totals IN EXCLUSIVE MODE"))
        totals.count(RULES_TRIGGERED, "Slow")
        writing = pool.submit(totals.flush)
        while other.scalar(waits) is None:
            assert not writing.done()
        assert client.get("/metrics").status_code == 200
        assert not writing.done()
        other.rollback()


def test_rules_past_a_thousand_share_one_label(app: Flask) -> None:
    process = Totals()
    process.bind(db.engine)
    for number in range(1003):
        process.count(RULES_TRIGGERED, f"Rule {number:04}")
    process.flush()
    [family] = [f for f in TotalsCollector(db.engine).collect() if f.name == "rules_triggered"]
    values = {s.labels["rule"]: s.value for s in family.samples}
    assert len(values) == 1001
    assert values["_other"] == 3
