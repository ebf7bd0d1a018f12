"""Where callbacks may go: the guard against requests forged through the farm (SSRF).

A callback's URL comes from a caller, and the farm stands inside a network the caller does not. So it is looked at
twice: when the request is accepted (what the URL says by itself), and at every delivery (what its name resolves
to just then; the connection is pinned to the address that was checked).

An address is public only if it passes three tests: it is none of the listed special ranges, the ipaddress
module calls it global, and, for IPv6, it lies in the one block handed out for global use. The module alone
will not do: on Python 3.11 it calls multicast, 6to4 and NAT64 forms of loopback "global", and shared address
space "not private". Of the forms of IPv6 that carry an IPv4 address, mapped ones are taken as the IPv4 address
they are, NAT64 is public if the address inside is, and 6to4, Teredo and the rest are never public.

Hosts are read as the old C resolvers read them too: decimal, octal, hex, fewer than four parts. URLs must be
plain ASCII without escapes in the host, so no two parsers can see two hosts in one URL.
"""

from __future__ import annotations

import asyncio
import functools
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from phonefarm.errors import ConfigError, Fault

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
#: Name and port to textual addresses; raises OSError when there are none.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

FORBIDDEN = "forbidden_callback_address"
INVALID = "invalid_callback_url"
UNRESOLVED = "callback_name_not_resolved"
LONGEST_URL = 4_096

#: IPv4: this network, private, shared, loopback, link-local with metadata, assignments, documentation, 6to4 relays,
#: private, benchmarks, documentation twice, multicast, reserved with broadcast, one cloud's host agent.
#: IPv6 inside 2000::/3: protocol assignments with Teredo, documentation twice, 6to4.
_DENIED: tuple[Network, ...] = (
    *map(IPv4Network, ("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12")),
    *map(IPv4Network, ("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15")),
    *map(IPv4Network, ("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32")),
    *map(IPv6Network, ("2001::/23", "2001:db8::/32", "3fff::/20", "2002::/16")),
)
_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_LOOPBACK: tuple[Address, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
_LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_AUTHORITY = re.compile(r"(\[[0-9A-Za-z:.%]*:[0-9A-Za-z:.%]*\]|[^\[\]:]+)(:[0-9]{1,5})?")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
#: Threads for look-ups alone. The system's call cannot be ended: a name server that never answers keeps its thread for
#: about half a minute, longer than the attempt that asked. The sender has 16 attempts of 10 s under way, and the event
#: loop's own threads are a handful, so with those a few such names would hold up every other callback.
_LOOK_UPS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="callback-name")


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """Where a URL leads. ``host`` is lower-case, without brackets and trailing dot; ``port`` never defaulted away."""

    scheme: str
    host: str
    port: int


def parse_endpoint(url: str) -> Endpoint | Fault:
    """Scheme, host and port of a callback URL, or the ``invalid_callback_url`` fault. Resolves nothing."""
    if not url or len(url) > LONGEST_URL:
        return _fault(INVALID, f"must be a URL of 1 to {LONGEST_URL} characters")
    if not all("!" <= c <= "~" for c in url) or any(c in url for c in '\\"<>^`{|}'):
        return _fault(INVALID, "must be plain ASCII; write a host name in its xn-- form and escape the rest")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return _fault(INVALID, "has a host or port that cannot be read")
    if parts.scheme not in ("http", "https"):
        return _fault(INVALID, "must begin with http:// or https://")
    if "@" in parts.netloc:
        return _fault(INVALID, "must not carry a user name or password")
    host = host.lower().removesuffix(".")
    if port == 0 or not _AUTHORITY.fullmatch(parts.netloc) or not _readable(host):
        return _fault(INVALID, "has no host, or its host or port cannot be read")
    return Endpoint(scheme=parts.scheme, host=host, port=port or (443 if parts.scheme == "https" else 80))


def literal_fault(url: str, allow: Sequence[str]) -> Fault | None:
    """What is wrong with a callback URL by itself, None if it may be accepted. ``allow``: CIDRs that are free.

    The fault's ``loc`` is ``("callback", "url")``; it never repeats the URL, which may carry a token.
    """
    endpoint = parse_endpoint(url)
    if isinstance(endpoint, Fault):
        return endpoint
    networks = allowed_networks(allow)
    if _local(endpoint.host):
        return None if any(_listed(address, networks) for address in _LOOPBACK) else _forbidden()
    readings = list(_readings(endpoint.host))
    return None if all(_free(address, networks) for address in readings) else _forbidden()


async def resolve_and_check(
    host: str, port: int, allow: Sequence[str], *, resolver: Resolver | None = None
) -> Address | Fault:
    """The address to connect to. One forbidden address among the answers refuses them all.

    Names of this machine are not looked up: they mean loopback, and only what of it ``allow`` lists.
    """
    networks = allowed_networks(allow)
    if _local(host):
        return next((address for address in _LOOPBACK if _listed(address, networks)), None) or _forbidden()
    found = list(_readings(host)) or await _look_up(host, port, resolver or system_resolver)
    if not found:
        return _fault(UNRESOLVED, "has a name that does not resolve")
    if not all(_free(address, networks) for address in found):
        return _forbidden()
    return _plain(found[0])


async def system_resolver(host: str, port: int) -> Sequence[str]:
    """The operating system's answers, in its order of preference."""
    ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_LOOK_UPS, ask)
    return [str(sockaddr[0]) for *_, sockaddr in found]


def is_public(address: Address) -> bool:
    """Whether anybody on the internet may own this address."""
    address = _plain(address)
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _UNICAST:
            return False
    listed = any(address in network for network in _DENIED if network.version == address.version)
    return not listed and address.is_global and not address.is_multicast


def allowed_networks(allow: Sequence[str]) -> list[Network]:
    """The CIDRs of ``callbacks.allow``. Raises ConfigError for one that is none."""
    try:
        return [ip_network(cidr, strict=False) for cidr in allow]
    except ValueError as error:
        raise ConfigError(f"callbacks.allow: {error}") from None


async def _look_up(host: str, port: int, resolver: Resolver) -> list[Address]:
    try:
        return [ip_address(text) for text in await resolver(host, port)]
    except (OSError, UnicodeError, ValueError):
        return []


def _listed(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _free(address: Address, networks: Sequence[Network]) -> bool:
    return is_public(address) or _listed(_plain(address), networks)


def _plain(address: Address) -> Address:
    """A mapped address (``::ffff:a.b.c.d``) as the IPv4 address it is."""
    if isinstance(address, IPv6Address) and address.scope_id is None and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _local(host: str) -> bool:
    return host in _LOCAL_NAMES or host.endswith((".localhost", ".localhost.localdomain"))


def _readable(host: str) -> bool:
    """Whether a host is an address we can read or a well-formed name; one that ends in a number must be the former."""
    if any(True for _ in _readings(host)):
        return True
    labels = host.split(".")
    named = len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)
    return named and not _NUMBER.fullmatch(labels[-1])


def _readings(host: str) -> Iterator[Address]:
    """The addresses a host may mean to one reader or another; none if it is a name."""
    if ":" in host:
        try:
            # A zone id makes an address of this machine's own links: kept, so that it is never public.
            yield IPv6Address(host.replace("%25", "%", 1))
        except ValueError:
            return
    parts = host.split(".")
    for octal in (True, False):
        numbers = [_number(part, octal=octal) for part in parts]
        address = _joined([n for n in numbers if n is not None]) if None not in numbers else None
        if address is not None:
            yield address
        if not any(len(part) > 1 and part[0] == "0" for part in parts):
            return


def _number(part: str, *, octal: bool) -> int | None:
    if not _NUMBER.fullmatch(part) or len(part) > 64:
        return None
    if part.startswith("0x"):
        return int(part[2:] or "0", 16)
    base = 8 if octal and len(part) > 1 and part[0] == "0" else 10
    return int(part, base) if base == 10 or not set(part) & set("89") else None


def _joined(numbers: list[int]) -> IPv4Address | None:
    """One to four numbers as an IPv4 address; the last one fills all the places left."""
    *head, last = numbers
    room = 256 ** (4 - len(head)) if len(head) < 4 else 0
    if any(n > 255 for n in head) or last >= room:
        return None
    return IPv4Address(sum(n << 8 * (3 - place) for place, n in enumerate(head)) + last)


def _forbidden() -> Fault:
    return _fault(FORBIDDEN, "leads to an address callbacks may not go to; the farm's callbacks.allow can list it")


def _fault(code: str, msg: str) -> Fault:
    return Fault(loc=("callback", "url"), code=code, msg=f"the callback's URL {msg}")
