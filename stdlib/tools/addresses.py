"""Which network addresses a program's requests may go to: the public ones, and hosts that the project names.

A program's address may come from a model or from a stranger's text, and this machine can often reach what strangers
cannot: its own services, the local network, a cloud's metadata. So what counts is the address that a name resolves to,
not the name, and exactly that address is connected to; a second look-up could give another.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Not for the public, whatever older Pythons say of them: protocol assignments, and translation to local networks.
_MORE = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "fec0::/10")))
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


class Refused(Exception):
    """No address of the host may be connected to. The message says why."""


def resolve(host: str, port: int, allowed: Collection[str]) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    """The addresses of a host that may be connected to, in the system's order. Blocks while names are looked up.

    `allowed` are hosts that may be private (`shop.internal`, `localhost:8000`, or `*` for all). Raises `Refused`, or
    OSError where the name is not known.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    free = bool({"*", host, f"{host}:{port}"} & set(allowed))
    good: list[tuple[socket.AddressFamily, tuple[str, int]]] = []
    why = "it has no address"
    for family, _, _, _, place in found:
        address = str(place[0])
        wrong = None if free else private(address)
        if wrong is None:
            good.append((family, (address, port)))
        else:
            why = f"{address} is {wrong}" if host != address else f"it is {wrong}"
    if not good:
        raise Refused(why)
    return good


def private(address: str) -> str | None:
    """What kind of address it is, if it is not one of the public network."""
    found = _meant(ipaddress.ip_address(address.partition("%")[0]))
    if found.is_loopback:
        return "this machine's own address"
    if found.is_unspecified:
        return "no address of a host"
    if found.is_multicast:
        return "a group address"
    if found.is_link_local:
        return "an address of the local link"
    if not found.is_global or found.is_reserved or any(found in network for network in _MORE):
        return "a private address"
    return None


def _meant(address: _Address) -> _Address:
    """The IPv4 address that is wrapped in an IPv6 one, where it is: that is where packets end."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    if inner is None and address in _TRANSLATED:
        inner = ipaddress.IPv4Address(address.packed[-4:])
    return inner if inner is not None else address
