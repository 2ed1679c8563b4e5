"""The environment, read once and checked, as one frozen `Settings`.

Every variable is documented in `docs/configuration.md`. A secret may also be given as `NAME_FILE`, the path of a file
that holds it. A wrong value stops the process at boot with a message that names the variable.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec

from limits import RateLimitItem, parse
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.broker import Broker, broker_of
from app.environment import ConfigError, Environment
from app.mail import sender_of, server_of

KIB = 1024
# Far above what honest callers do, and what a process can answer: they stop loops, not load.
CALLS, INGEST, FAILURES = parse("500/second"), parse("10000/second"), parse("30/minute")
_PLAIN_URL = re.compile(r"[A-Za-z0-9._~/:\[\]-]{1,200}")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclass(frozen=True)
class RetryPolicy:
    """When a failed notification is tried again; seconds."""

    base: float = 5
    factor: float = 4
    maximum: float = 36_000
    attempts: int = 10


@dataclass(frozen=True)
class Retention:
    """How long events with their matches, and ended notifications with their attempts, are kept."""

    events: timedelta = timedelta(days=30)
    attempts: timedelta = timedelta(days=90)


@dataclass(frozen=True)
class Memory:
    """How late an event may come to a rule with memory, how many keys one rule may keep, and how much under a key."""

    lateness: timedelta = timedelta(minutes=1)
    keys: int = 100_000
    entries: int = 100_000


@dataclass(frozen=True)
class ReceiverPolicy:
    """How much one receiver may hold up, and when it is left alone; seconds."""

    concurrency: int = 8
    failures: int = 5
    pause: float = 5
    longest_pause: float = 300
    disable_after: float = 5 * 86_400


@dataclass(frozen=True)
class Rates:
    """How much one caller may ask of one process; None is without a limit."""

    calls: RateLimitItem | None = CALLS
    ingest: RateLimitItem | None = INGEST
    failures: RateLimitItem | None = FAILURES


@dataclass(frozen=True)
class SlackDefaults:
    """Where `slack:#name` goes when no channel of that name exists."""

    bot_token: str | None = field(default=None, repr=False)
    webhook_url: str | None = field(default=None, repr=False)
    api_url: str = "https://slack.com/api/"


@dataclass(frozen=True)
class SmtpDefaults:
    """How mail goes out where a channel has no server of its own, and whom it is from."""

    url: str | None = field(default=None, repr=False)
    sender: str | None = None


@dataclass(frozen=True)
class Settings:
    """All that the processes of Sentinel read from the environment."""

    database_url: str = field(repr=False)
    # None where another broker serves and nobody said which Redis has streams.
    redis_url: str | None = field(repr=False)
    broker: Broker
    secret_keys: tuple[str, ...] = field(repr=False)
    auth: str = "keys"
    host: str = "127.0.0.1"
    port: int = 8000
    trusted_hosts: tuple[str, ...] = LOOPBACK_NAMES
    egress_allow: tuple[str, ...] = ()
    retry: RetryPolicy = RetryPolicy()
    retention: Retention = Retention()
    memory: Memory = Memory()
    receivers: ReceiverPolicy = ReceiverPolicy()
    # Sends under way at once in one worker process.
    delivery_threads: int = 36
    slack: SlackDefaults = SlackDefaults()
    smtp: SmtpDefaults = SmtpDefaults()
    apprise: bool = False
    max_body: int = 256 * KIB
    # Notifications to one target in one minute, past which a digest tells the rest.
    storm_limit: int | None = 30
    heartbeat_url: str | None = field(default=None, repr=False)
    # Where people find the console, without a slash at the end; messages lead there.
    public_url: str | None = None
    rates: Rates = Rates()
    # How many proxies in front of the API write `X-Forwarded-For`.
    proxies: int = 0
    max_batch: int = 16 * KIB * KIB
    inbox: bool = False
    # Lines in the log for each step of each event.
    log_events: bool = False
    # Whether there is a collector of OpenTelemetry, whose own package reads where.
    traces: bool = False
    # Of those who call `/hooks`, as `source=secret`.
    hook_secrets: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read and check the environment; raises `ConfigError`."""
        read = _Reader(env)
        return cls(
            database_url=_psycopg(read.required("DATABASE_URL")),
            redis_url=read.text("REDIS_URL"),
            broker=read.broker(),
            secret_keys=read.fernet_keys("SENTINEL_SECRET_KEY"),
            auth=read.choice("SENTINEL_AUTH", ("keys", "off"), "keys"),
            host=read.text("SENTINEL_HOST") or "127.0.0.1",
            port=read.whole("SENTINEL_PORT", 8000, 1, 65_535),
            trusted_hosts=(*LOOPBACK_NAMES, *read.hosts("SENTINEL_TRUSTED_HOSTS")),
            egress_allow=read.items("SENTINEL_EGRESS_ALLOW"),
            retry=read.retry(),
            retention=Retention(
                events=read.days("SENTINEL_RETENTION_EVENTS", Retention.events),
                attempts=read.days("SENTINEL_RETENTION_ATTEMPTS", Retention.attempts),
            ),
            memory=Memory(
                lateness=read.span("SENTINEL_LATENESS", Memory.lateness),
                keys=read.whole("SENTINEL_MAX_KEYS", Memory.keys, 1, 100_000_000),
            ),
            receivers=read.receivers(),
            delivery_threads=read.whole("SENTINEL_DELIVERY_THREADS", 36, 1, 1000),
            slack=read.slack(),
            smtp=read.smtp(),
            apprise=read.apprise(),
            max_body=read.whole("SENTINEL_MAX_BODY", 256 * KIB, KIB, 64 * KIB * KIB),
            storm_limit=read.storm_limit(),
            heartbeat_url=read.url("SENTINEL_HEARTBEAT_URL"),
            public_url=read.public_url(),
            rates=read.rates(),
            proxies=read.whole("SENTINEL_PROXIES", 0, 0, 10),
            max_batch=read.whole("SENTINEL_MAX_BATCH", 16 * KIB * KIB, KIB, 256 * KIB * KIB),
            inbox=read.choice("SENTINEL_INBOX", ("on", "off"), "off") == "on",
            log_events=read.choice("SENTINEL_LOG_EVENTS", ("on", "off"), "off") == "on",
            traces=read.traces(),
            hook_secrets=read.items("SENTINEL_HOOK_SECRETS"),
        )


class _Reader(Environment):
    """Look-ups of what belongs together."""

    def broker(self) -> Broker:
        """`CELERY_BROKER_URL`, else `REDIS_URL`."""
        name = "CELERY_BROKER_URL" if self.text("CELERY_BROKER_URL") else "REDIS_URL"
        url = self.required(name)
        try:
            return broker_of(url)
        except ValueError as error:
            raise ConfigError(name, str(error)) from None

    def retry(self) -> RetryPolicy:
        default = RetryPolicy()
        return RetryPolicy(
            base=self.number("SENTINEL_RETRY_BASE", default.base, 0.01, 86_400),
            factor=self.number("SENTINEL_RETRY_FACTOR", default.factor, 1, 100),
            maximum=self.number("SENTINEL_RETRY_MAX", default.maximum, 0.01, 7 * 86_400),
            attempts=self.whole("SENTINEL_RETRY_ATTEMPTS", default.attempts, 1, 100),
        )

    def receivers(self) -> ReceiverPolicy:
        default = ReceiverPolicy()
        return ReceiverPolicy(
            concurrency=self.whole("SENTINEL_RECEIVER_CONCURRENCY", default.concurrency, 1, 1000),
            failures=self.whole("SENTINEL_CIRCUIT_FAILURES", default.failures, 1, 100_000),
            pause=self.number("SENTINEL_CIRCUIT_PAUSE", default.pause, 0.01, 86_400),
            longest_pause=self.number(
                "SENTINEL_CIRCUIT_PAUSE_MAX", default.longest_pause, 0.01, 86_400
            ),
            disable_after=self.number(
                "SENTINEL_CHANNEL_DISABLE_AFTER", default.disable_after, 60, 366 * 86_400
            ),
        )

    def storm_limit(self) -> int | None:
        name = "SENTINEL_STORM_LIMIT"
        return None if self.text(name) == "off" else self.whole(name, 30, 1, 1_000_000)

    def traces(self) -> bool:
        if (self.text("OTEL_SDK_DISABLED") or "").lower() == "true":
            return False
        endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        return any(self.text(name) for name in endpoints)

    def rates(self) -> Rates:
        default = Rates()
        return Rates(
            calls=self.rate("SENTINEL_RATE_LIMIT", default.calls),
            ingest=self.rate("SENTINEL_RATE_LIMIT_INGEST", default.ingest),
            failures=self.rate("SENTINEL_RATE_LIMIT_FAILURES", default.failures),
        )

    def slack(self) -> SlackDefaults:
        return SlackDefaults(
            bot_token=self.text("SLACK_BOT_TOKEN"),
            webhook_url=self.url("SLACK_WEBHOOK_URL"),
            api_url=self.url("SLACK_API_URL") or SlackDefaults.api_url,
        )

    def smtp(self) -> SmtpDefaults:
        return SmtpDefaults(
            url=self.spelled("SMTP_URL", server_of), sender=self.spelled("SMTP_FROM", sender_of)
        )

    def public_url(self) -> str | None:
        name = "SENTINEL_PUBLIC_URL"
        text = self.url(name)
        # It stands in links of many kinds, each of which ends at other letters.
        if text is not None and not _PLAIN_URL.fullmatch(text):
            raise ConfigError(name, "may have letters, digits and -._~/:[] only")
        return text and text.rstrip("/")

    def apprise(self) -> bool:
        name = "SENTINEL_APPRISE"
        on = self.choice(name, ("on", "off"), "off") == "on"
        if on and find_spec("apprise") is None:
            raise ConfigError(
                name, "is on, but `pip install -r requirements-apprise.txt` is missing"
            )
        return on


def database_url(env: Mapping[str, str] = os.environ) -> str:
    """`DATABASE_URL` alone, for what needs nothing else; raises `ConfigError`."""
    return _psycopg(_Reader(env).required("DATABASE_URL"))


def broker(env: Mapping[str, str] = os.environ) -> Broker:
    """Where wake-ups go, for what needs nothing else; raises `ConfigError`."""
    return _Reader(env).broker()


def hook_secrets(env: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The secrets of hooks, for what needs nothing else; raises `ConfigError`."""
    return _Reader(env).items("SENTINEL_HOOK_SECRETS")


def _psycopg(url: str) -> str:
    """A PostgreSQL URL for SQLAlchemy's psycopg 3 dialect, whatever driver it named."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise ConfigError("DATABASE_URL", "must begin with postgresql://")
    try:
        make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):
        raise ConfigError("DATABASE_URL", "is no URL that can be read") from None
    return f"postgresql+psycopg://{rest}"
