"""The environment, read once and checked, as one frozen `Settings`.

Every variable is documented in `docs/configuration.md`. A secret may also be given as `NAME_FILE`, the path of a file
that holds it. A wrong value stops the process at boot with a message that names the variable.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from limits import RateLimitItem, parse
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from app.broker import Broker, broker_of
from app.mail import sender_of, server_of

KIB = 1024
LONGEST_RETENTION_DAYS = 3650
DAY_SECONDS = 86_400
# Far above what honest callers do, and what a process can answer: they stop loops, not load.
CALLS, INGEST, FAILURES = parse("500/second"), parse("10000/second"), parse("30/minute")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]", "::1")
SECRETS = (
    "DATABASE_URL",
    "REDIS_URL",
    "CELERY_BROKER_URL",
    "SENTINEL_SECRET_KEY",
    "SLACK_BOT_TOKEN",
    "SLACK_WEBHOOK_URL",
    "SMTP_URL",
    "SENTINEL_HEARTBEAT_URL",
    "SENTINEL_HOOK_SECRETS",
)


class ConfigError(ValueError):
    """A variable of the environment that is missing or wrong; `str()` names it."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable


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
    slack: SlackDefaults = SlackDefaults()
    smtp: SmtpDefaults = SmtpDefaults()
    apprise: bool = False
    max_body: int = 256 * KIB
    # Notifications to one target in one minute, past which a digest tells the rest.
    storm_limit: int | None = 30
    heartbeat_url: str | None = field(default=None, repr=False)
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
            port=int(read.number("SENTINEL_PORT", 8000, 1, 65_535)),
            trusted_hosts=(*LOOPBACK_NAMES, *read.items("SENTINEL_TRUSTED_HOSTS")),
            egress_allow=read.items("SENTINEL_EGRESS_ALLOW"),
            retry=read.retry(),
            retention=Retention(
                events=read.days("SENTINEL_RETENTION_EVENTS", Retention.events),
                attempts=read.days("SENTINEL_RETENTION_ATTEMPTS", Retention.attempts),
            ),
            memory=Memory(
                lateness=read.span("SENTINEL_LATENESS", Memory.lateness),
                keys=int(read.number("SENTINEL_MAX_KEYS", Memory.keys, 1, 100_000_000)),
            ),
            receivers=read.receivers(),
            slack=read.slack(),
            smtp=read.smtp(),
            apprise=read.apprise(),
            max_body=int(read.number("SENTINEL_MAX_BODY", 256 * KIB, KIB, 64 * KIB * KIB)),
            storm_limit=read.storm_limit(),
            heartbeat_url=read.url("SENTINEL_HEARTBEAT_URL"),
            rates=read.rates(),
            proxies=int(read.number("SENTINEL_PROXIES", 0, 0, 10)),
            max_batch=int(read.number("SENTINEL_MAX_BATCH", 16 * KIB * KIB, KIB, 256 * KIB * KIB)),
            inbox=read.choice("SENTINEL_INBOX", ("on", "off"), "off") == "on",
            log_events=read.choice("SENTINEL_LOG_EVENTS", ("on", "off"), "off") == "on",
            traces=read.traces(),
            hook_secrets=read.items("SENTINEL_HOOK_SECRETS"),
        )


class _Reader:
    """Typed look-ups that name the variable when they refuse."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def text(self, name: str) -> str | None:
        value = self._env.get(name)
        path = self._env.get(f"{name}_FILE") if name in SECRETS else None
        if path and value:
            raise ConfigError(name, f"is set, and so is {name}_FILE; set one of them")
        if path:
            try:
                value = Path(path).read_text(encoding="utf-8")
            except OSError as error:
                raise ConfigError(
                    f"{name}_FILE", f"cannot read {path}: {error.strerror}"
                ) from error
        return value.strip() or None if value else None

    def required(self, name: str) -> str:
        value = self.text(name)
        if value is None:
            raise ConfigError(name, "is not set (`./sentinel up` sets it for its own servers)")
        return value

    def items(self, name: str) -> tuple[str, ...]:
        return tuple(item.strip() for item in (self.text(name) or "").split(",") if item.strip())

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        value = self.text(name) or default
        if value not in allowed:
            raise ConfigError(name, f"is {value!r}; it must be one of {', '.join(allowed)}")
        return value

    def number(self, name: str, default: float, least: float, most: float) -> float:
        text = self.text(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            raise ConfigError(name, f"is {text!r}; it must be a number") from None
        if not least <= value <= most:
            raise ConfigError(name, f"is {text}; it must be between {least:g} and {most:g}")
        return value

    def days(self, name: str, default: timedelta) -> timedelta:
        """A time such as `30d`, `12w` or `36h`, of a day at least."""
        text = self.text(name)
        if text is None:
            return default
        match = re.fullmatch(r"(\d{1,6}) ?([hdw])", text)
        hours = int(match[1]) * {"h": 1, "d": 24, "w": 168}[match[2]] if match else 0
        if not 24 <= hours <= LONGEST_RETENTION_DAYS * 24:
            raise ConfigError(
                name,
                f"is {text!r}; it must be a time such as 30d or 12w,"
                f" from 1d to {LONGEST_RETENTION_DAYS}d",
            )
        return timedelta(hours=hours)

    def span(self, name: str, default: timedelta) -> timedelta:
        """A time such as `90s`, `5m` or `1h`, of a day at most."""
        text = self.text(name)
        if text is None:
            return default
        match = re.fullmatch(r"(\d{1,5}) ?([smh])", text)
        seconds = int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]] if match else -1
        if not 0 <= seconds <= DAY_SECONDS:
            raise ConfigError(
                name, f"is {text!r}; it must be a time such as 90s or 5m, from 0s to 24h"
            )
        return timedelta(seconds=seconds)

    def broker(self) -> Broker:
        """`CELERY_BROKER_URL`, else `REDIS_URL`."""
        name = "CELERY_BROKER_URL" if self.text("CELERY_BROKER_URL") else "REDIS_URL"
        url = self.required(name)
        try:
            return broker_of(url)
        except ValueError as error:
            raise ConfigError(name, str(error)) from None

    def fernet_keys(self, name: str) -> tuple[str, ...]:
        keys = tuple(key.strip() for key in self.required(name).split(",") if key.strip())
        if not keys:
            raise ConfigError(name, "holds no key")
        for key in keys:
            try:
                Fernet(key)
            except ValueError:
                raise ConfigError(
                    name,
                    "must be 32 random bytes in URL-safe base64 (several, by commas, to rotate)",
                ) from None
        return keys

    def retry(self) -> RetryPolicy:
        default = RetryPolicy()
        return RetryPolicy(
            base=self.number("SENTINEL_RETRY_BASE", default.base, 0.01, 86_400),
            factor=self.number("SENTINEL_RETRY_FACTOR", default.factor, 1, 100),
            maximum=self.number("SENTINEL_RETRY_MAX", default.maximum, 0.01, 7 * 86_400),
            attempts=int(self.number("SENTINEL_RETRY_ATTEMPTS", default.attempts, 1, 100)),
        )

    def receivers(self) -> ReceiverPolicy:
        default = ReceiverPolicy()
        most = self.number("SENTINEL_RECEIVER_CONCURRENCY", default.concurrency, 1, 1000)
        failures = self.number("SENTINEL_CIRCUIT_FAILURES", default.failures, 1, 100_000)
        return ReceiverPolicy(
            concurrency=int(most),
            failures=int(failures),
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
        return None if self.text(name) == "off" else int(self.number(name, 30, 1, 1_000_000))

    def traces(self) -> bool:
        if (self.text("OTEL_SDK_DISABLED") or "").lower() == "true":
            return False
        endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        return any(self.text(name) for name in endpoints)

    def url(self, name: str) -> str | None:
        """An address of the operator's own."""
        text = self.text(name)
        try:
            parts = urlsplit(text or "http://none/")
            whole = bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
        except ValueError:
            whole = False
        if not whole or parts.scheme not in ("http", "https"):
            raise ConfigError(name, "must be http:// or https://, a host and a path")
        return text

    def rates(self) -> Rates:
        default = Rates()
        return Rates(
            calls=self.rate("SENTINEL_RATE_LIMIT", default.calls),
            ingest=self.rate("SENTINEL_RATE_LIMIT_INGEST", default.ingest),
            failures=self.rate("SENTINEL_RATE_LIMIT_FAILURES", default.failures),
        )

    def rate(self, name: str, default: RateLimitItem | None) -> RateLimitItem | None:
        text = self.text(name)
        if text is None or text == "off":
            return default if text is None else None
        try:
            found = parse(text)
        except ValueError:
            found = None
        if found is None or found.amount < 1 or found.get_expiry() < 1:
            raise ConfigError(name, f"is {text!r}; write `500/second`, `30/minute` or `off`")
        return found

    def slack(self) -> SlackDefaults:
        return SlackDefaults(
            bot_token=self.text("SLACK_BOT_TOKEN"),
            webhook_url=self.text("SLACK_WEBHOOK_URL"),
            api_url=self.text("SLACK_API_URL") or SlackDefaults.api_url,
        )

    def smtp(self) -> SmtpDefaults:
        return SmtpDefaults(
            url=self.spelled("SMTP_URL", server_of), sender=self.spelled("SMTP_FROM", sender_of)
        )

    def apprise(self) -> bool:
        name = "SENTINEL_APPRISE"
        on = self.choice(name, ("on", "off"), "off") == "on"
        if on and find_spec("apprise") is None:
            raise ConfigError(
                name, "is on, but `pip install -r requirements-apprise.txt` is missing"
            )
        return on

    def spelled(self, name: str, check: Callable[[str], object]) -> str | None:
        """A text that a function has nothing against."""
        text = self.text(name)
        try:
            if text is not None:
                check(text)
        except ValueError as error:
            raise ConfigError(name, str(error)) from None
        return text


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
