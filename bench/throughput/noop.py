"""What evaluation is compared with: Celery tasks that do nothing, under Sentinel's own settings of Celery."""

import os
import time
from pathlib import Path
from typing import Any, cast

from celery import Celery

FIRST, SECOND = "noop-first", "noop-second"

celery = Celery("noop", broker=os.environ.get("BENCH_BROKER"), set_as_current=False)
celery.config_from_object("celeryconfig")
celery.conf.update(imports=(), task_routes={}, task_annotations={}, task_default_queue=FIRST)


def use(broker: str) -> None:
    """Send to this broker from now on: what is kept of connections leads to that of a stack that is gone."""
    celery.conf.update(broker_url=broker)
    cast(Any, celery)._after_fork()


@celery.task(name="noop.nothing", queue=FIRST)
def nothing() -> None:
    """Nothing."""


@celery.task(name="noop.first", queue=FIRST)
def first(number: int) -> None:
    """Hand over to the second."""
    second.delay(number)


@celery.task(name="noop.second", queue=SECOND)
def second(number: int) -> None:
    """Write down when this was reached."""
    with Path(os.environ["BENCH_REACHED"]).open("a", encoding="ascii") as file:
        file.write(f"{number} {time.time()}\n")
