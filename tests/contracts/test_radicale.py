"""Radicale, over the wire, keeps the contract."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.contracts.caldav import CalDAVVendor
from tests.contracts.contract import ProviderContract
from tests.contracts.mirror import MirrorContract
from tests.servers import Radicale, radicale
from tests.simulators.base import Between


@pytest.fixture(scope="module")
def server() -> Iterator[Radicale]:
    with radicale() as running:
        yield running


@pytest.fixture
def vendor(server: Radicale, settings: Settings) -> Iterator[CalDAVVendor]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with Between(server.port) as proxy:
        yield CalDAVVendor(server, proxy)


class TestRadicale(ProviderContract, MirrorContract):
    pass
