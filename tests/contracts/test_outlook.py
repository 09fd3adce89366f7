"""Outlook keeps the contract, over a simulated Graph."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from pytest_django import Settings

from calendars.providers import Connection
from tests.contracts.contract import BERLIN, ProviderContract, Vendor, calendar_object, component
from tests.contracts.mirror import MirrorContract
from tests.contracts.outlook import OutlookVendor
from tests.simulators.graph import GraphSimulator


@pytest.fixture
def vendor(settings: Settings) -> Iterator[OutlookVendor]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with time_machine.travel(datetime(2026, 3, 2, 8, tzinfo=UTC)), GraphSimulator(page_size=3) as simulator:
        settings.OUTLOOK_API_URL = simulator.api_url
        yield OutlookVendor(simulator)


class TestOutlook(ProviderContract, MirrorContract):
    def connection(self, vendor: Vendor, **facts: Any) -> Connection:
        assert isinstance(vendor, OutlookVendor)
        return super().connection(vendor, access_token=vendor.access_token, **facts)

    def test_floating_time_is_read_in_the_calendars_zone(self, vendor: Vendor) -> None:
        """Exchange knows no floating times: it fixes them in the mailbox's zone when the event is made, and tells UTC
        and that zone's Windows name."""
        assert isinstance(vendor, OutlookVendor)
        zone = "Eastern Standard Time"
        vendor.mailbox.put("work", "one", "2026-03-20T09:00", zone=zone)
        (entry,) = self.read(vendor, time_zone="Asia/Tokyo").resources[vendor.id_of("one")].entries
        assert (entry.start_time.hour, entry.time_zone, entry.local_start) == (
            13,
            "America/New_York",
            "20260320T090000",
        )

    def test_series_keeps_rule_exceptions_and_instances_moved_or_cancelled(self, vendor: Vendor) -> None:
        """Graph tells the instances, each as an event of its own, and no rule."""
        assert isinstance(vendor, OutlookVendor)
        zoned = ("DTSTART;TZID=Europe/Berlin:20260302T090000", "DTEND;TZID=Europe/Berlin:20260302T093000")
        rule = ("RRULE:FREQ=WEEKLY;BYDAY=MO", "EXDATE;TZID=Europe/Berlin:20260309T090000")
        moved = (
            "RECURRENCE-ID;TZID=Europe/Berlin:20260316T090000",
            "DTSTART;TZID=Europe/Berlin:20260317T110000",
            "DTEND;TZID=Europe/Berlin:20260317T113000",
        )
        cancelled = (
            "RECURRENCE-ID;TZID=Europe/Berlin:20260330T090000",
            "DTSTART;TZID=Europe/Berlin:20260330T090000",
            "STATUS:CANCELLED",
        )
        vendor.put(
            "one",
            calendar_object(BERLIN, component("u", *zoned, *rule), component("u", *moved), component("u", *cancelled)),
        )
        read = self.read(vendor)
        entries = [entry for resource in read.resources.values() for entry in resource.entries]
        by_start = {f"{entry.start_time:%m%dT%H%M}": entry for entry in entries}
        # In summer Berlin is an hour further from UTC.
        mondays = [
            "0302T0800",
            "0323T0800",
            "0330T0700",
            "0406T0700",
            "0413T0700",
            "0420T0700",
            "0427T0700",
            "0504T0700",
        ]
        assert sorted(by_start) == sorted([*mondays, "0317T1000"])
        assert {entry.series_id for entry in entries} == {vendor.id_of("one")}
        assert len({entry.external_event_id for entry in entries}) == len(entries)
        assert not any(entry.recurring or entry.recurrence_id for entry in entries)
        assert (by_start["0330T0700"].status, by_start["0330T0700"].fbtype) == ("cancelled", "free")
        assert by_start["0406T0700"].local_start == "20260406T090000"
