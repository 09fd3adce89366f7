"""Which addresses this service may call on behalf of a user, so that it never becomes a door into its own network.

A name is resolved and judged where the connection is made, and the judged address is the one connected to: what a
name meant a moment ago proves nothing (DNS rebinding).
"""

import ipaddress
import re
import socket
import threading

import httpx2
from django.conf import settings

from calendars.providers import AddressRefused, BadProviderData, Unreachable

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST_URL = 500
# What `is_global` lets pass, or let pass in some release of Python, and what no calendar server has for an address.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598): another customer's or a cloud's inside
        "169.254.0.0/16",  # link-local, with every cloud's metadata service
        "168.63.129.16/32",  # Azure's own services, by a public address
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "198.18.0.0/15",
        "::ffff:0:0/96",  # IPv4-mapped
        "::/96",  # IPv4-compatible
        "::ffff:0:0:0/96",  # IPv4-translated (RFC 2765)
        "64:ff9b:1::/48",  # local-use NAT64 (RFC 8215)
        "2001::/23",  # protocol assignments, with Teredo
        "2002::/16",  # 6to4
        "fec0::/10",  # site-local
        "fd00:ec2::/32",
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?|[0-9a-f:.]+")
# Vendors that spread one account over several hosts; what stands under these names is theirs alone.
_SHARED_SITES = (".icloud.com", ".icloud.com.cn")


def is_public(address: IPAddress) -> bool:
    """Whether the address can be a server of the internet: not private, loopback, link-local, reserved, multicast,
    nor an IPv6 form that hides one of those."""
    if isinstance(address, ipaddress.IPv6Address) and address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if any(address in network for network in _NEVER if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def is_allowed_host(host: str) -> bool:
    """Whether the operator vouches for this host, wherever its name leads."""
    return _plain(host) in {_plain(allowed) for allowed in settings.OUTBOUND_ALLOWED_HOSTS}


def addresses_to_connect(host: str, port: int, *, timeout_seconds: float) -> list[str]:
    """The addresses of `host`, numeric, every one judged, in the resolver's order.

    Raises `AddressRefused` when any of them must not be called, `Unreachable` when there is none. Decimal and octal
    spellings are the resolver's to read; its answer is what counts.
    """
    found = _resolve(host, port, timeout_seconds)
    if not is_allowed_host(host) and not all(is_public(ipaddress.ip_address(text)) for text in found):
        raise AddressRefused(f"{_shown(host)} is not a public address.")
    return found


def checked_url(text: str, *, field: str = "server_url", with_query: bool = False, longest: int = _LONGEST_URL) -> str:
    """`text` as a normalised http(s) URL that may be called as far as can be told now; raises `BadProviderData`.

    Without a scheme, https is meant; a query is dropped unless `with_query`. A name that does not resolve now is let
    pass: it is judged again at every connection, and a resolver that is down must not keep a user from connecting.
    """
    text = text.strip()
    if "://" not in text:
        text = f"https://{text}"
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError):
        raise BadProviderData(field, "This is not an address.") from None
    if url.scheme not in {"http", "https"}:
        raise BadProviderData(field, "The address must start with https:// or http://.")
    if url.userinfo or "@" in url.netloc.decode("ascii", "replace"):
        raise BadProviderData(field, "Give user name and password in their own fields, not in the address.")
    host = url.raw_host.decode("ascii")
    if not _HOST.fullmatch(host) or not 0 < (url.port or 443) < 65536:
        raise BadProviderData(field, "The address names no valid host.")
    url = url.copy_with(fragment=None)
    if not with_query:
        url = url.copy_with(query=None, raw_path=url.raw_path.partition(b"?")[0] or b"/")
    if len(str(url)) > longest:
        raise BadProviderData(field, f"The address is longer than {longest} characters.")
    try:
        addresses_to_connect(host, port_of(url), timeout_seconds=3)
    except AddressRefused as refused:
        raise BadProviderData(field, f"{refused.reason} {refused.advice}") from None
    except Unreachable:
        pass
    return str(url)


def same_site(ours: httpx2.URL, theirs: httpx2.URL) -> bool:
    """Whether credentials given for `ours` may be sent to `theirs`.

    Yes for the same scheme, host and port; for http on port 80 becoming https on 443 of the same host; for https on
    443 of a host below ours (example.com → dav.example.com); and among the hosts of a vendor known to spread accounts
    (caldav.icloud.com → p01-caldav.icloud.com). Never from https to http, never to another port, never to a sibling:
    who owns a sibling name cannot be told from the names (a.co.uk, b.co.uk).
    """
    if (theirs.scheme, theirs.host, port_of(theirs)) == (ours.scheme, ours.host, port_of(ours)):
        return True
    if theirs.scheme != "https" or port_of(theirs) != 443 or port_of(ours) not in {80, 443}:
        return False
    our_host, their_host = f".{_plain(ours.host)}", f".{_plain(theirs.host)}"
    if their_host == our_host:
        return True
    if ours.scheme == "https" and any(our_host.endswith(s) and their_host.endswith(s) for s in _SHARED_SITES):
        return True
    return our_host.count(".") > 1 and not _is_number(our_host) and their_host.endswith(our_host)


def port_of(url: httpx2.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _resolve(host: str, port: int, timeout_seconds: float) -> list[str]:
    # The system's resolver knows no time limit of its own; a thread that hangs in it is left behind.
    answer: list[list[str] | Exception] = []

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answer.append(list(dict.fromkeys(str(row[4][0]).partition("%")[0] for row in rows)))
        except (OSError, UnicodeError) as error:
            answer.append(error)

    thread = threading.Thread(target=ask, daemon=True, name="resolve")
    thread.start()
    thread.join(timeout_seconds)
    found = answer[0] if answer else None
    if not isinstance(found, list) or not found:
        raise Unreachable(f"The name {_shown(host)} could not be resolved.")
    return found


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _shown(host: str) -> str:
    return re.sub(r"[^\w.:-]", "?", host)[:100]


def _is_number(host: str) -> bool:
    return host.rpartition(".")[2].isdigit()
