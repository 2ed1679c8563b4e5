"""The guard between Sentinel and every address that a user writes.

A URL is parsed once, by a strict grammar, so that no second parser can read another host in it;
its name is resolved once, and one answer that is not public refuses all of it. The connection
goes to the addresses that were judged here (`Destination.addresses`), so a name that changes
its mind in between (DNS rebinding) gains nothing.
"""

import math
import re
import socket
import time
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from threading import Thread

from app.channels.addresses import Address, Network, canonical, is_public

DEFAULT_PORTS = {"http": 80, "https": 443}
# In an entry of the allow list: a network that is none, or a URL.
NO_HOST = frozenset("/ @")
LOOPBACK = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
MAX_URL = 2048
Resolver = Callable[[str, int], list[str]]

# Printable ASCII without what a parser might take for a border: space " # < > \ ^ ` { | }
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:[/?][!$-;=?-\[\]_a-z~]*)?)",
    re.IGNORECASE | re.ASCII,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE | re.ASCII)
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE | re.ASCII)


class UrlNotAllowed(ValueError):
    """A URL that Sentinel will not send to."""

    code = "url_not_allowed"


class NotPublic(UrlNotAllowed):
    """A URL that is one, and leads where nothing is sent unless it is allowed."""


class Unresolved(OSError):
    """A name without an address, for now."""


@dataclass(frozen=True)
class Destination:
    """A URL that was judged: where to connect, and what to say there."""

    scheme: str
    host: str
    port: int
    path: str
    addresses: tuple[str, ...]

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def system_resolver(host: str, port: int) -> list[str]:
    """The addresses that the operating system knows for a name."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


class Egress:
    """The rules for where notifications may go: the public internet, and what `allow` names."""

    def __init__(self, allow: Iterable[str] = (), resolver: Resolver = system_resolver) -> None:
        self._networks: list[Network] = []
        self._hosts: set[tuple[str, int | None]] = set()
        self._resolver = resolver
        self._until = math.inf
        for entry in allow:
            self._admit(entry)

    def hurried(self, until: float) -> "Egress":
        """The same rules, for which names are looked up until that moment of the monotonic clock and no longer."""
        hurried = copy(self)
        hurried._until = until
        return hurried

    def check_url(self, url: str) -> None:
        """Refuse what delivery would refuse; a name that does not resolve yet may do so then."""
        try:
            self.destination(url)
        except Unresolved:
            return

    def destination(self, url: str, patience: float = 5.0) -> Destination:
        """Judge a URL; raises `UrlNotAllowed`, and `Unresolved` after `patience` seconds."""
        scheme, host, port, path = _parse(url)
        name = host.rstrip(".").lower()
        allowed = self._host_allowed(name, port)
        if not allowed:
            self._judge_name(name)
        literal = _literal(host)
        answers = [host] if literal is not None else self._resolve(host, port, patience)
        if not allowed:
            for answer in answers:
                self._judge(answer)
        return Destination(scheme, name, port, path, tuple(answers))

    def _judge_name(self, name: str) -> None:
        """Refuse what means this machine by its name (RFC 6761), also where no resolver knows it yet."""
        if not f".{name}".endswith(".localhost"):
            return
        if not any(address in net for address in LOOPBACK for net in self._networks):
            raise NotPublic("the host is this machine")

    def _judge(self, answer: str) -> None:
        try:
            address = canonical(answer)
        except ValueError:
            raise UrlNotAllowed("the host resolves to something that is no address") from None
        if not is_public(address) and not any(address in net for net in self._networks):
            raise NotPublic("the host is not on the public internet")

    def _host_allowed(self, name: str, port: int) -> bool:
        return (name, port) in self._hosts or (name, None) in self._hosts

    def _admit(self, entry: str) -> None:
        try:
            self._networks.append(ip_network(entry.strip("[]"), strict=False))
        except ValueError:
            host, separator, port = entry.rpartition(":")
            if not separator:
                host, port = port, ""
            if not host or set(host) & NO_HOST or (separator and not port.isdecimal()):
                raise ValueError(f"{entry!r} is neither host[:port] nor a CIDR") from None
            name = host.strip("[]").rstrip(".").lower()
            self._hosts.add((name, int(port) if port else None))

    def _resolve(self, host: str, port: int, patience: float) -> list[str]:
        """Resolve in a thread: getaddrinfo has no timeout, and may take half a minute."""
        answers: list[str] = []
        patience = min(patience, self._until - time.monotonic())
        if patience <= 0:
            raise Unresolved(f"there is no time to look up {host}")

        def look_up() -> None:
            try:
                answers.extend(self._resolver(host, port))
            except (OSError, UnicodeError):
                return

        thread = Thread(target=look_up, name=f"resolve {host}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # there are too many
            raise Unresolved(f"there is no thread to look up {host}") from None
        thread.join(patience)
        found = list(answers)
        if thread.is_alive() or not found:
            raise Unresolved(f"{host} does not resolve")
        return found


def origin(url: str) -> tuple[str, str, int]:
    """Who is asked by a URL: its scheme, host and port; raises `UrlNotAllowed`."""
    scheme, host, port, _ = _parse(url)
    return scheme, host.rstrip(".").lower(), port


def _parse(url: str) -> tuple[str, str, int, str]:
    found = _URL.fullmatch(url) if len(url) <= MAX_URL else None
    if found is None:
        raise UrlNotAllowed(
            "the URL must be http:// or https://, a host and a path, without a user, a fragment, "
            "spaces or letters beyond ASCII (write an international name as xn--…)"
        )
    scheme = found["scheme"].lower()
    host = _host(found["host"])
    port = int(found["port"]) if found["port"] else DEFAULT_PORTS[scheme]
    if not 0 < port < 65_536:
        raise UrlNotAllowed(f"the URL has the port {port}, which does not exist")
    path = found["path"]
    return scheme, host, port, path if path.startswith("/") else f"/{path}"


def _host(text: str) -> str:
    """The host without brackets; whatever C libraries would read as a number is no name."""
    if text.startswith("["):
        try:
            return str(IPv6Address(text[1:-1]))
        except ValueError:
            raise UrlNotAllowed("the URL has a host that is no IPv6 address") from None
    labels = text.removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or len(text) > 253:
        raise UrlNotAllowed("the URL has a host that is no name")
    if _NUMERIC.fullmatch(labels[-1]) and _literal(text) is None:
        raise UrlNotAllowed("the URL has a host that is a number, but no dotted IPv4 address")
    return text


def _literal(host: str) -> Address | None:
    for kind in (IPv4Address, IPv6Address):
        try:
            return kind(host)
        except ValueError:
            continue
    return None
