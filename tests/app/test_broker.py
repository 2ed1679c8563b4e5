"""A broker's address is read as people write it, and becomes what kombu and Celery want."""

import pytest

from app.broker import Broker, broker_of
from tasks.broker import settings


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("redis://:pw@redis:6379/0", "redis://:pw@redis:6379/0"),
        ("unix://:pw@/run/r.sock?db=2", "redis+socket://:pw@/run/r.sock?virtual_host=2"),
        ("unix://bob:p%40w@/run/r.sock", "redis+socket://bob:p%40w@/run/r.sock?virtual_host=0"),
        ("amqp://rabbit", "amqp://rabbit/"),
        ("amqps://u:p%40@rabbit:5671/alerts", "amqps://u:p%40@rabbit:5671/alerts"),
        (
            "amqp://u:p@one:1;two;[::3]:3//",
            "amqp://u:p@one:1//;amqp://u:p@two//;amqp://u:p@[::3]:3//",
        ),
        ("amqp://u:p@one/v;amqp://u:p@two/v", "amqp://u:p@one/v;amqp://u:p@two/v"),
        (
            "sentinel://:pw@one:26379;two:26380/1?master_name=m",
            "sentinel://:pw@one:26379/1;sentinel://:pw@two:26380/1",
        ),
    ],
)
def test_each_host_gets_the_login_and_the_path(written: str, url: str) -> None:
    assert broker_of(written).url == url


def test_the_sentinels_may_have_a_login_of_their_own() -> None:
    query = "master_name=m&sentinel_username=eve&sentinel_password=p%26w"
    found = broker_of(f"sentinel://:master@one/0?{query}")
    assert found.master == "m"
    assert found.sentinel_login == {"username": "eve", "password": "p&w"}
    options = settings(found)["broker_transport_options"]
    assert options["master_name"] == "m"
    assert options["sentinel_kwargs"].items() > found.sentinel_login.items()
    assert options["global_keyprefix"] == "sentinel:"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("kafka://one", "unknown scheme 'kafka'"),
        ("nonsense", "no URL"),
        ("sentinel://one:26379/0", "master_name"),
        ("sentinel://one/0?master_name=m&password=x", "has password after"),
        ("amqp://one/?heartbeat=1", "has heartbeat after"),
        ("amqp://", "names no host"),
        ("amqp://one:x;two/", "no URL"),
    ],
)
def test_a_wrong_address_is_told_without_a_password(written: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as caught:
        broker_of(written)
    assert written not in str(caught.value)


def test_the_password_is_in_no_repr() -> None:
    assert "secret" not in repr(
        broker_of("sentinel://:secret@one/0?master_name=m&sentinel_password=secret")
    )


def test_rabbitmq_gets_quorum_queues_confirms_and_the_name_of_its_certificate() -> None:
    told = settings(Broker("amqps://one/"))
    assert told["task_default_queue_type"] == told["task_create_missing_queue_type"] == "quorum"
    assert told["broker_transport_options"] == {"confirm_publish": True}
    assert told["broker_use_ssl"] == {"server_hostname": None}
    assert "broker_use_ssl" not in settings(Broker("amqp://one/"))
