"""Radicale, over the wire, keeps the contract."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.contracts.caldav import CalDAVVendor
from tests.contracts.contract import ProviderContract
from tests.proxy import Proxy
from tests.servers import Radicale, radicale


@pytest.fixture(scope="module")
def server() -> Iterator[Radicale]:
    with radicale() as running:
        yield running


@pytest.fixture
def vendor(server: Radicale, settings: Settings) -> Iterator[CalDAVVendor]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with Proxy(server.port) as proxy:
        yield CalDAVVendor(server, proxy)


class TestRadicale(ProviderContract):
    pass
