"""The main process of a worker outlives what its pool does not."""

from uuid import uuid4

import pytest
from celery import signals
from celery.exceptions import WorkerLostError
from structlog.testing import capture_logs

from tasks.events import evaluate
from tests.app.helpers import no_threads


@pytest.mark.usefixtures("app")
def test_where_no_thread_is_to_be_had_the_leases_of_the_dead_run_out() -> None:
    with no_threads(), capture_logs() as told:
        answers = signals.task_failure.send(
            sender=evaluate,
            task_id=str(uuid4()),
            exception=WorkerLostError("died"),
            args=([],),
        )
    assert not any(isinstance(answer, Exception) for _, answer in answers)
    assert {(one["event"], one["error"]) for one in told} == {
        ("release_failed", "can't start new thread")
    }
