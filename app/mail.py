"""Where mail is handed in, and whom it comes from, as the environment and channels write it."""

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

ADDRESS = (
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
LONGEST_ADDRESS = 254
_SENDER = re.compile(rf'(?:(?P<name>[^\x00-\x1f\x7f<>"@,;:\\]{{1,100}}) )?<(?P<address>{ADDRESS})>')
_PRINTABLE = re.compile(r"[\x21-\x7e]{1,2048}")
_PORTS = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True)
class Server:
    """A server that takes mail; over `smtps` the connection begins with TLS, over `smtp` STARTTLS makes it so."""

    scheme: str
    host: str
    port: int
    starttls: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def authority(self) -> str:
        """Its host and port, as a URL has them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def server_of(url: str) -> Server:
    """The server of `smtp://user:password@host:587` or `smtps://…`; raises ValueError, which repeats nothing of it.

    `?starttls=off` does without TLS, and then without a password too.
    """
    if not _PRINTABLE.fullmatch(url):
        raise ValueError("has spaces, or letters beyond ASCII")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("has a host or a port that is none") from None
    if parts.scheme not in _PORTS or not host or parts.path not in ("", "/") or parts.fragment:
        raise ValueError("must be smtp:// or smtps:// and a host")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    starttls = options.pop("starttls", "required")
    if options or starttls not in ("required", "off"):
        raise ValueError("may end in ?starttls=required or ?starttls=off, and nothing else")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not (user + password).isascii() or bool(user) != bool(password):
        raise ValueError("needs a user and a password in ASCII, or neither")
    if user and parts.scheme == "smtp" and starttls == "off":
        raise ValueError("has a password, which is never sent without TLS")
    port = _PORTS[parts.scheme] if port is None else port
    return Server(parts.scheme, host, port, starttls == "required", user, password)


def sender_of(text: str) -> tuple[str, str]:
    """The name and the address of `a@b.example` or `Name <a@b.example>`; raises ValueError."""
    if is_address(text):
        return "", text
    found = _SENDER.fullmatch(text)
    if found is None or not is_address(found["address"]):
        raise ValueError("must be an address, or Name <address>")
    return found["name"] or "", found["address"]


def is_address(text: str) -> bool:
    """Whether mail can be sent to it, as far as one can see; nothing in it needs quotes, or ends a line."""
    # Where `=?` begins, mail programs read other words than those that stand there (RFC 2047).
    found = None if "=?" in text else re.fullmatch(ADDRESS, text)
    return len(text) <= LONGEST_ADDRESS and found is not None
