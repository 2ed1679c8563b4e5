"""The environment's variables, read as what they should be; who refuses one names it."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from limits import RateLimitItem, parse_many

LONGEST_RETENTION_DAYS = 3650
DAY_SECONDS = 86_400
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
# What others than the application read: how many where nothing is said, at least, and at most.
COUNTS = {
    "SENTINEL_API_WORKERS": (2, 1, 256),
    "SENTINEL_API_THREADS": (16, 1, 1000),
    "SENTINEL_FLOWER_PORT": (5555, 1, 65_535),
    "SENTINEL_EXPORTER_PORT": (9808, 1, 65_535),
}
# As a Host header has it, but for the port.
_HOST = re.compile(r"[A-Za-z0-9._-]+|\[?[0-9A-Fa-f:.]+\]?", re.ASCII)


class ConfigError(ValueError):
    """A variable of the environment that is missing or wrong; `str()` names it."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable}: {problem}")
        self.variable = variable


class Environment:
    """Typed look-ups; each raises `ConfigError`."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def text(self, name: str) -> str | None:
        """The value, or that of its file; None where it is empty."""
        value = self._env.get(name)
        path = self._env.get(f"{name}_FILE") if name in SECRETS else None
        if path and value:
            raise ConfigError(name, f"is set, and so is {name}_FILE; set one of them")
        if path:
            try:
                # Some editors write a mark before the first letter, which nobody sees.
                value = Path(path).read_text(encoding="utf-8-sig")
            except UnicodeDecodeError:
                raise ConfigError(f"{name}_FILE", f"{path} is no UTF-8") from None
            except OSError as error:
                raise ConfigError(
                    f"{name}_FILE", f"cannot read {path}: {error.strerror}"
                ) from error
        return value.strip() or None if value else None

    def required(self, name: str) -> str:
        """The value of what must be there."""
        value = self.text(name)
        if value is None:
            raise ConfigError(name, "is not set (`./sentinel up` sets it for its own servers)")
        return value

    def items(self, name: str) -> tuple[str, ...]:
        """What stands between commas."""
        return tuple(item.strip() for item in (self.text(name) or "").split(",") if item.strip())

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """One of some words."""
        value = self.text(name) or default
        if value not in allowed:
            raise ConfigError(name, f"is {value!r}; it must be one of {', '.join(allowed)}")
        return value

    def number(self, name: str, default: float, least: float, most: float) -> float:
        """A number within bounds."""
        text = self.text(name)
        if text is None:
            return default
        try:
            value = float(text)
        except ValueError:
            raise ConfigError(name, f"is {text!r}; it must be a number") from None
        if not least <= value <= most:
            raise ConfigError(name, f"is {text}; it must be between {least:.15g} and {most:.15g}")
        return value

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self.number(name, default, least, most)
        if value % 1:
            raise ConfigError(name, f"is {self.text(name)}; it must be a whole number")
        return int(value)

    def count(self, name: str) -> int:
        """One of `COUNTS`."""
        return self.whole(name, *COUNTS[name])

    def hosts(self, name: str) -> tuple[str, ...]:
        """Names and addresses between commas; with a scheme or a port none would ever be asked for."""
        items = self.items(name)
        for item in items:
            if not _HOST.fullmatch(item):
                raise ConfigError(
                    name, f"{item!r} is no host's name; write it without scheme, port and `*`"
                )
        return items

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

    def fernet_keys(self, name: str) -> tuple[str, ...]:
        """Keys that encrypt, the first of them what is new."""
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

    def url(self, name: str) -> str | None:
        """An address of the operator's own."""
        text = self.text(name)
        try:
            parts = urlsplit(text or "http://none/")
            whole = bool(parts.hostname) and "@" not in parts.netloc and parts.port != 0
            whole = whole and not re.search(r"\s", text or "")
        except ValueError:
            whole = False
        if not whole or parts.scheme not in ("http", "https"):
            raise ConfigError(name, "must be http:// or https://, a host and a path")
        return text

    def rate(self, name: str, default: RateLimitItem | None) -> RateLimitItem | None:
        """Calls in a time; None for `off`."""
        text = self.text(name)
        if text is None or text == "off":
            return default if text is None else None
        try:
            found = parse_many(text)
        except ValueError:
            found = []
        if len(found) != 1 or found[0].amount < 1 or found[0].get_expiry() < 1:
            raise ConfigError(name, f"is {text!r}; write `500/second`, `30/minute` or `off`")
        return found[0]

    def spelled(self, name: str, check: Callable[[str], object]) -> str | None:
        """A text that a function has nothing against."""
        text = self.text(name)
        try:
            if text is not None:
                check(text)
        except ValueError as error:
            raise ConfigError(name, str(error)) from None
        return text
