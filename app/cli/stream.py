"""`./sentinel stream`: events from Redis Streams and Kafka, for as long as it runs."""

import faulthandler
import gc
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from app.streams.source import Source

CLOSE_SECONDS = 10
YOUNG_OBJECTS = 100_000
SWITCH_SECONDS = 0.001


def _filled(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """What is empty names nothing; some servers take it, and some libraries end the process."""
    if value == "":
        raise click.BadParameter("must not be empty")
    return value


GROUP = click.option(
    "--group",
    default="sentinel",
    show_default=True,
    callback=_filled,
    help="The consumer group.",
)
DEAD = click.option(
    "--dead", callback=_filled, help="Where bad messages go; the name with `.dead` behind it."
)


@click.group()
def stream() -> None:
    """Take events from Redis Streams or Kafka."""


@stream.command()
@click.option(
    "--url",
    envvar="SENTINEL_STREAM_REDIS_URL",
    help="The Redis that has the stream; Sentinel's own where none is given.",
)
@click.option(
    "--stream",
    "name",
    envvar="SENTINEL_STREAM_NAME",
    default="events",
    show_default=True,
    callback=_filled,
)
@GROUP
@DEAD
def redis(url: str | None, name: str, group: str, dead: str | None) -> None:
    """Take events from a Redis Stream, one JSON object in the field `event` of each entry."""
    from app.streams.redis import RedisSource

    dead = _apart(dead or f"{name}.dead", name)

    def make(own: str | None) -> RedisSource:
        where = url or own or _fail("REDIS_URL: is not set, nor is --url")
        return RedisSource(where, name, group, dead)

    _run(make)


@stream.command()
@click.option(
    "--brokers",
    envvar="SENTINEL_STREAM_BROKERS",
    required=True,
    callback=_filled,
    help="host:port, by commas.",
)
@click.option(
    "--topic",
    envvar="SENTINEL_STREAM_NAME",
    default="events",
    show_default=True,
    callback=_filled,
)
@GROUP
@DEAD
@click.option(
    "-X", "options", multiple=True, metavar="NAME=VALUE", help="Any setting of librdkafka."
)
def kafka(brokers: str, topic: str, group: str, dead: str | None, options: tuple[str, ...]) -> None:
    """Take events from a Kafka topic, one JSON object a message."""
    try:
        from app.streams.kafka import KafkaSource, parse_options
    except ImportError:
        _fail("Kafka needs one package more: .venv/bin/pip install -r requirements-kafka.txt")
    try:
        settings = parse_options(options)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="-X") from None
    dead = _apart(dead or f"{topic}.dead", topic)
    _run(lambda _: KafkaSource(brokers, topic, group, dead, settings))


def _apart(dead: str, name: str) -> str:
    """Where dead letters go: among the messages each would be read, and buried, again and again."""
    if dead == name:
        raise click.UsageError("--dead: is where the messages come from")
    return dead


def _run(make: Callable[[str | None], "Source"]) -> None:
    from app.cli.local.environment import for_commands
    from app.environment import ConfigError
    from app.runtime import runtime
    from app.streams.pump import Pump

    os.environ.update(for_commands(os.environ))
    try:
        from wsgi import app

        with app.app_context():
            pump = Pump(app, make(runtime().settings.redis_url))
    except ConfigError as error:
        _fail(str(error))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: pump.stop())
    click.echo("Taking events. Ctrl-C stops.", err=True)
    # What is loaded by now stays, and batches are many objects: to look through either for garbage, again and again,
    # costs as much as reading them.
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    # The thread that feeds PostgreSQL has a piece to send now and then, and must not wait for the one that parses.
    sys.setswitchinterval(SWITCH_SECONDS)
    pump.run()
    # Nothing can be lost by now. librdkafka was seen to wait for its own threads without an end, holding the
    # interpreter, so that no thread of ours could end it.
    faulthandler.dump_traceback_later(CLOSE_SECONDS, exit=True)
    pump.close()
    faulthandler.cancel_dump_traceback_later()


def _fail(words: str) -> NoReturn:
    click.echo(words, err=True)
    sys.exit(1)
