"""Functions of network addresses."""

from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Annotated, Final, TypeAlias

from rules_dsl.functions.registry import BadArgument, LiteralCheck, function

# The longest network has 49 letters; what an event gives for one may have 256 KiB, and would be kept.
_LONGEST_NETWORK: Final = 64


def _network(text: str) -> IPv4Network | IPv6Network:
    found = _find_network(text) if len(text) <= _LONGEST_NETWORK else None
    if found is None:
        raise BadArgument("no such network; write it as in 10.0.0.0/8")
    return found


@lru_cache(maxsize=1_024)
def _find_network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _address(text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise BadArgument("no such address") from error


Network: TypeAlias = Annotated[str, LiteralCheck(_network)]


@function
def cidr(ip: str, net: Network) -> bool:
    """Whether an address lies in a network, v4 or v6: `cidr(client.ip, "10.0.0.0/8")`."""
    return _address(ip) in _network(net)
