"""Xandikos, over the wire, keeps the contract."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.contracts.caldav import CalDAVVendor
from tests.contracts.contract import ProviderContract, Vendor, event
from tests.contracts.mirror import MirrorContract
from tests.servers import Xandikos, xandikos
from tests.simulators.base import Between


@pytest.fixture(scope="module")
def server() -> Iterator[Xandikos]:
    with xandikos() as running:
        yield running


@pytest.fixture
def vendor(server: Xandikos, settings: Settings) -> Iterator[CalDAVVendor]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with Between(server.port) as proxy:
        yield CalDAVVendor(server, proxy)


class TestXandikos(ProviderContract, MirrorContract):
    def test_events_whose_names_it_cuts_short_are_read_beside_their_namesake(self, vendor: Vendor) -> None:
        for name in ("lunch?", "lunch", "lunch#"):
            vendor.put(name, event(name, "DTSTART:20260320T080000Z", f"SUMMARY:{name}"))
        read = self.read(vendor)
        assert {id_: resource.entries[0].title for id_, resource in read.resources.items()} == {
            f"{name}.ics": name for name in ("lunch?", "lunch", "lunch#")
        }
