"""Whom a request comes from, by the network's word."""

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

from django.conf import settings


def address_of(meta: Mapping[str, Any]) -> str:
    """The client's address by the request's META (or WSGI environment): behind a proxy, whom the proxy, the last to
    write the header, says. Empty where nobody knows."""
    if settings.SECURE_PROXY_SSL_HEADER:
        forwarded: str = meta.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        if forwarded:
            return forwarded
    return str(meta.get("REMOTE_ADDR", ""))


def network_of(address: str) -> str:
    """The address; of IPv6 the network of 64 bits, all of which one customer has. Empty for what is no address."""
    try:
        known = ip_address(address)
    except ValueError:
        return ""
    return str(IPv6Address(int(known) >> 64 << 64)) if isinstance(known, IPv6Address) else address
