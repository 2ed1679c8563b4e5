"""What is said of the broker, by real ones."""

from collections.abc import Iterator

import pytest
from flask import Flask
from kombu import Connection

from app.broker import broker_of
from app.extensions import session
from app.services import health
from tests.acceptance.stack import Stack
from tests.conftest import TestClock

PASSWORD = "of-the-tests"


@pytest.fixture
def narrow(servers: Stack) -> Iterator[str]:
    """The address of Redis for a user who may write nothing but Celery's queues."""
    rights = "on", f">{PASSWORD}", "+@all", "~events", "~notifications", "~_kombu*", "~unacked*"
    servers.redis.execute_command("ACL", "SETUSER", "narrow", *rights)  # type: ignore[no-untyped-call]
    yield broker_of(servers.env["REDIS_URL"].replace("unix://", f"unix://narrow:{PASSWORD}@")).url
    servers.redis.execute_command("ACL", "DELUSER", "narrow")  # type: ignore[no-untyped-call]


def test_redis_is_up_also_for_a_user_who_may_write_its_queues_alone(
    app: Flask, narrow: str, clock: TestClock
) -> None:
    with Connection(narrow) as broker:
        assert health.check(session(), broker, clock()).broker == health.UP
