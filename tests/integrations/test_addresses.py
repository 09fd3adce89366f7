"""Users give addresses; none of them opens a door into our own network."""

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from pytest_django import Settings

from calendars.providers import AddressRefused, BadProviderData, Unreachable
from integrations.addresses import addresses_to_connect, checked_url, is_public, same_site

Resolver = Callable[[dict[str, list[str]]], None]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """A resolver that knows the given names, and reads numbers as the system's does."""
    real = socket.getaddrinfo

    def install(known: dict[str, list[str]]) -> None:
        def answer(host: str, port: int, *arguments: Any, **facts: Any) -> list[Any]:
            if host in known:
                return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in known[host]]
            return real(host, port, *arguments, **facts, flags=socket.AI_NUMERICHOST)

        monkeypatch.setattr(socket, "getaddrinfo", answer)

    install({})
    return install


@pytest.mark.parametrize(
    ("address", "public"),
    [
        pytest.param("93.184.216.34", True, id="a server of the internet is"),
        pytest.param("2606:4700::6810:84e5", True, id="so is one by IPv6"),
        pytest.param("127.0.0.1", False, id="loopback"),
        pytest.param("127.8.9.10", False, id="all of loopback"),
        pytest.param("0.0.0.0", False, id="unspecified"),
        pytest.param("10.1.2.3", False, id="private 10/8"),
        pytest.param("172.16.0.1", False, id="private 172.16/12"),
        pytest.param("192.168.1.1", False, id="private 192.168/16"),
        pytest.param("169.254.169.254", False, id="the metadata service"),
        pytest.param("168.63.129.16", False, id="Azure's own services"),
        pytest.param("100.64.0.1", False, id="carrier-grade NAT"),
        pytest.param("198.18.0.1", False, id="benchmarking"),
        pytest.param("192.0.2.1", False, id="documentation"),
        pytest.param("224.0.1.1", False, id="multicast"),
        pytest.param("240.0.0.1", False, id="reserved"),
        pytest.param("255.255.255.255", False, id="broadcast"),
        pytest.param("::1", False, id="IPv6 loopback"),
        pytest.param("::", False, id="IPv6 unspecified"),
        pytest.param("fe80::1", False, id="IPv6 link-local"),
        pytest.param("fc00::1", False, id="unique local"),
        pytest.param("fd00:ec2::254", False, id="the metadata service by IPv6"),
        pytest.param("fec0::1", False, id="site-local"),
        pytest.param("ff0e::1", False, id="IPv6 multicast"),
        pytest.param("2001:db8::1", False, id="IPv6 documentation"),
        pytest.param("::ffff:127.0.0.1", False, id="IPv4-mapped loopback"),
        pytest.param("::ffff:93.184.216.34", False, id="IPv4-mapped at all"),
        pytest.param("::127.0.0.1", False, id="IPv4-compatible"),
        pytest.param("2002:7f00:1::", False, id="6to4"),
        pytest.param("2001:0:4136:e378::", False, id="Teredo"),
        pytest.param("64:ff9b::7f00:1", False, id="NAT64 of loopback"),
        pytest.param("64:ff9b::a00:1", False, id="NAT64 of a private address"),
        pytest.param("64:ff9b::5db8:d822", True, id="NAT64 of a public address is how IPv6-only machines call out"),
        pytest.param("64:ff9b:1::1", False, id="local-use NAT64"),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "0"],
)
def test_every_spelling_of_an_inner_address_is_refused(host: str, names: Resolver) -> None:
    with pytest.raises(AddressRefused):
        addresses_to_connect(host, 80, timeout_seconds=5)


def test_name_with_one_inner_address_among_public_ones_is_refused(names: Resolver) -> None:
    names({"dav.example.com": ["93.184.216.34", "10.0.0.1"]})
    with pytest.raises(AddressRefused):
        addresses_to_connect("dav.example.com", 443, timeout_seconds=5)


def test_addresses_of_a_public_name_are_numbers_to_connect_to(names: Resolver) -> None:
    names({"dav.example.com": ["93.184.216.34", "93.184.216.35"]})
    assert addresses_to_connect("dav.example.com", 443, timeout_seconds=5) == ["93.184.216.34", "93.184.216.35"]


def test_allowed_host_may_be_anywhere_but_only_under_that_name(names: Resolver, settings: Settings) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = ["radicale.internal"]
    names({"radicale.internal": ["10.0.0.1"], "other.internal": ["10.0.0.1"]})
    assert addresses_to_connect("Radicale.internal.".lower().rstrip("."), 80, timeout_seconds=5) == ["10.0.0.1"]
    with pytest.raises(AddressRefused):
        addresses_to_connect("other.internal", 80, timeout_seconds=5)


def test_name_that_does_not_resolve_is_unreachable(names: Resolver) -> None:
    with pytest.raises(Unreachable):
        addresses_to_connect("nowhere.example", 80, timeout_seconds=5)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        pytest.param("https://dav.example.com", "https://dav.example.com/", id="a path is added"),
        pytest.param("dav.example.com/alice", "https://dav.example.com/alice", id="https is meant without a scheme"),
        pytest.param(" HTTPS://DAV.Example.COM/Alice/ ", "https://dav.example.com/Alice/", id="host in lower case"),
        pytest.param("https://dav.example.com:443/a?b=c#d", "https://dav.example.com/a", id="nothing after the path"),
        pytest.param("http://dav.example.com:5232/", "http://dav.example.com:5232/", id="a port of its own stays"),
    ],
)
def test_address_is_stored_in_one_spelling(text: str, normal: str, names: Resolver) -> None:
    names({"dav.example.com": ["93.184.216.34"]})
    assert checked_url(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://",
        "ftp://dav.example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "https://alice:secret@dav.example.com/",
        "https://alice@dav.example.com/",
        "https://exa mple.com/",
        "https://dav.example.com:99999/",
        "https://dav.example.com/" + "a" * 600,
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1%25eth0]/",
    ],
)
def test_address_that_cannot_be_used_names_its_field_and_keeps_secrets(text: str, names: Resolver) -> None:
    with pytest.raises(BadProviderData) as refused:
        checked_url(text)
    assert refused.value.field == "server_url"
    assert "secret" not in refused.value.reason


def test_address_that_does_not_resolve_today_may_still_be_stored(names: Resolver) -> None:
    assert checked_url("https://nowhere.example") == "https://nowhere.example/"


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        pytest.param("https://a.example/x", "https://a.example/y", True, id="another path"),
        pytest.param("https://a.example", "https://a.example:443/", True, id="the port that is meant anyway"),
        pytest.param("http://a.example", "https://a.example", True, id="http may become https"),
        pytest.param("https://a.example", "http://a.example", False, id="https never becomes http"),
        pytest.param("https://a.example", "https://a.example:8443", False, id="another port is another server"),
        pytest.param("http://127.0.0.1:8001", "http://127.0.0.1:8002", False, id="also on loopback"),
        pytest.param("https://a.example", "https://dav.a.example", True, id="a host below ours is ours"),
        pytest.param("http://a.example", "http://dav.a.example", False, id="but not without https"),
        pytest.param("https://dav.a.example", "https://a.example", False, id="a host above ours may be anybody's"),
        pytest.param("https://a.co.uk", "https://b.co.uk", False, id="a sibling may be anybody's"),
        pytest.param("https://example", "https://evil.example", False, id="a single label is nobody's site"),
        pytest.param("https://a.example", "https://nota.example", False, id="an ending is not a domain"),
        pytest.param("https://10.0.0.1", "https://5.10.0.0.1", False, id="a number has nothing below it"),
        pytest.param("https://caldav.icloud.com", "https://p01-caldav.icloud.com", True, id="iCloud's own hosts"),
        pytest.param("https://caldav.icloud.com", "http://p01-caldav.icloud.com", False, id="iCloud without https"),
        pytest.param("https://caldav.icloud.com", "https://icloud.com.evil.example", False, id="not iCloud at all"),
        pytest.param("https://evil.example", "https://p01-caldav.icloud.com", False, id="from elsewhere to iCloud"),
    ],
)
def test_who_receives_the_credentials(ours: str, theirs: str, same: bool) -> None:
    assert same_site(httpx2.URL(ours), httpx2.URL(theirs)) is same
