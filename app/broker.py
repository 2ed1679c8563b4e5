"""The broker's address: as it is written in the environment, and as kombu wants it.

RabbitMQ and Redis Sentinel have several hosts: `scheme://user:password@one:1;two:2/path?master_name=…`. kombu wants the
login with each of them, and what is no address as an option.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

REDIS: Final = ("redis", "rediss", "redis+socket")
RABBITMQ: Final = ("amqp", "amqps")
SENTINEL: Final = "sentinel"
SENTINEL_WORDS: Final = {"master_name", "sentinel_username", "sentinel_password"}


@dataclass(frozen=True)
class Broker:
    """Where wake-ups go; of Redis Sentinel also the master's name, and the login of the sentinels themselves."""

    url: str = field(repr=False)
    master: str | None = None
    sentinel_login: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def scheme(self) -> str:
        """What the URL begins with."""
        return self.url.partition(":")[0]

    @property
    def is_rabbitmq(self) -> bool:
        """Whether it speaks AMQP."""
        return self.scheme in RABBITMQ


def broker_of(text: str) -> Broker:
    """The broker of an address; raises `ValueError` with what is wrong."""
    scheme, separator, _ = text.partition("://")
    if not separator:
        raise ValueError("is no URL that can be read")
    if scheme == "unix":
        return _socket(_readable(text))
    if scheme in REDIS:
        _readable(text)
        return Broker(text)
    if scheme not in (*RABBITMQ, SENTINEL):
        raise ValueError(f"has the unknown scheme {scheme!r}")
    address, _, query = text.partition("?")
    url = ";".join(_each(scheme, address))
    words = dict(parse_qsl(query))
    if unknown := words.keys() - (SENTINEL_WORDS if scheme == SENTINEL else set()):
        raise ValueError(f"has {', '.join(sorted(unknown))} after the ?, which says nothing here")
    if scheme == SENTINEL and not words.get("master_name"):
        raise ValueError("names no master: end it with ?master_name=NAME")
    login = {
        name: words[f"sentinel_{name}"]
        for name in ("username", "password")
        if f"sentinel_{name}" in words
    }
    return Broker(url, words.get("master_name"), login)


def _each(scheme: str, address: str) -> list[str]:
    """A whole URL for each host: the login stands before the first, the path behind the last."""
    hosts = [part.removeprefix(f"{scheme}://") for part in address.split(";")]
    login = next((host.rpartition("@")[0] + "@" for host in hosts if "@" in host), "")
    path = next((host.partition("/")[2] for host in reversed(hosts) if "/" in host), "")
    names = [host.rpartition("@")[2].partition("/")[0] for host in hosts]
    urls = [f"{scheme}://{login}{name}/{path}" for name in names]
    if not all(_readable(url).hostname for url in urls):
        raise ValueError("names no host")
    return urls


def _readable(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it is the check
    except ValueError:
        raise ValueError("is no URL that can be read") from None
    return parts


def _socket(parts: SplitResult) -> Broker:
    """kombu spells a Redis socket in its own way."""
    login = f"{parts.username or ''}:{parts.password}@" if parts.password else ""
    database = dict(parse_qsl(parts.query)).get("db", "0")
    return Broker(f"redis+socket://{login}{parts.path}?virtual_host={database}")
