"""The Google provider keeps the contract, over the wire, against the simulated Google."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from pytest_django import Settings

from calendars.providers import Connection
from tests.contracts.contract import ALICE, ProviderContract
from tests.contracts.google import NOW, GoogleVendor
from tests.contracts.mirror import MirrorContract
from tests.simulators.google import GoogleSimulator


@pytest.fixture
def vendor(settings: Settings) -> Iterator[GoogleVendor]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with time_machine.travel(NOW), GoogleSimulator() as google:
        settings.GOOGLE_API_URL = google.settings()["GOOGLE_API_URL"]
        # Short pages, and one that is empty though there is more.
        google.calendars.page_sizes = [2, 0, 1]
        google.add_account(ALICE)
        yield GoogleVendor(google)


class TestGoogle(ProviderContract, MirrorContract):
    forgets_cancelled = True

    def connection(self, vendor: Any, **facts: Any) -> Connection:
        return Connection(email=ALICE, credentials={}, access_token=lambda refused: vendor.token, **facts)

    def entries(self, vendor: Any, text: str, *, time_zone: str = "") -> Any:
        # Google knows no floating times: it writes them down in the zone that the calendar has then.
        vendor.time_zone = time_zone or "UTC"
        return super().entries(vendor, text, time_zone=time_zone)
