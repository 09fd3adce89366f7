"""What every provider must do, whatever it speaks: one suite, inherited by each vendor's tests.

A subclass gives the fixture `vendor`: a server with one calendar, and the ways in which others change it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import pytest

from busyblocks.entries import Entry
from calendars.providers import (
    Answer,
    CalendarGone,
    CalendarState,
    Connection,
    CursorLost,
    Delta,
    Page,
    Provider,
    ProviderError,
    Resource,
    Snapshot,
    Throttled,
)
from tests.contracts import faults

ALICE = "alice@acme.example"


class Vendor(Protocol):
    """The remote side. `calendar`: the external id of its one calendar; events go by a name of the test's choice."""

    calendar: str
    provider: type[Provider]
    credentials: dict[str, Any]

    def put(self, name: str, text: str) -> None: ...

    def delete(self, name: str) -> None: ...

    def id_of(self, name: str) -> str:
        """The external_event_id under which the provider reports the event."""
        ...

    def lose_cursors(self) -> None: ...

    def drop_calendar(self) -> None: ...

    def requests(self) -> int:
        """How many requests have reached it."""
        ...

    def fail(self, way: str, *, on: int = 1) -> None:
        """Request number `on` from now goes wrong in this one of `faults.WAYS`."""
        ...

    def recover(self) -> None:
        """Nothing goes wrong any more."""
        ...


@dataclass
class Read:
    """One reading, taken apart."""

    resources: dict[str, Resource] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    pages: int = 0
    end: Snapshot | Delta | None = None

    @classmethod
    def of(cls, answers: Iterable[Answer]) -> "Read":
        read = cls()
        for answer in answers:
            assert read.end is None, "nothing may follow the end"
            if isinstance(answer, Page):
                read.pages += 1
                for resource in answer.resources:
                    read._add(resource)
                read.withheld |= {withheld.external_event_id: withheld.reason for withheld in answer.withheld}
                read.removed.extend(answer.removed)
            else:
                read.end = answer
        return read

    def _add(self, resource: Resource) -> None:
        """An event told in parts is their sum, the master first."""
        earlier = self.resources.get(resource.external_event_id)
        if earlier and not resource.whole:
            entries = {entry.recurrence_id: entry for entry in (*earlier.entries, *resource.entries)}
            resource = replace(resource, entries=tuple(entries[key] for key in sorted(entries)))
        self.resources[resource.external_event_id] = resource

    @property
    def cursor(self) -> str:
        assert self.end is not None
        return self.end.cursor


def event(uid: str, *lines: str) -> str:
    """One calendar object with one event; `lines` are its properties beside UID and DTSTAMP."""
    return calendar_object(component(uid, *lines))


def component(uid: str, *lines: str) -> str:
    return "\r\n".join(["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT"])


def calendar_object(*components: str) -> str:
    return "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Example//Calendar//EN", *components, "END:VCALENDAR", ""]
    )


BERLIN = """\
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:DAYLIGHT
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
DTSTART:19700329T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
BEGIN:STANDARD
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
DTSTART:19701025T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
END:STANDARD
END:VTIMEZONE""".replace("\n", "\r\n")


class ProviderContract:
    """Inherit it as `class Test…(ProviderContract)` beside a fixture `vendor`.

    forgets_cancelled: the vendor knows no cancelled event, other than as one that was deleted. requests_of_a_read: how
    many a first read of seven events takes at least.
    """

    forgets_cancelled = False
    requests_of_a_read = 2

    def connection(self, vendor: Vendor, **facts: Any) -> Connection:
        """How alice's account reaches the vendor; `facts` are further fields of Connection."""
        return Connection(email=ALICE, credentials=vendor.credentials, **facts)

    def read(self, vendor: Vendor, cursor: str = "", *, time_zone: str = "") -> Read:
        provider = vendor.provider(self.connection(vendor))
        state = CalendarState(external_id=vendor.calendar, cursor=cursor, time_zone=time_zone)
        return Read.of(provider.changes(state))

    def entries(self, vendor: Vendor, text: str, *, time_zone: str = "") -> tuple[Entry, ...]:
        """What the provider makes of one event."""
        vendor.put("one", text)
        read = self.read(vendor, time_zone=time_zone)
        assert not read.withheld
        if self.forgets_cancelled and not read.resources:
            return ()
        return read.resources[vendor.id_of("one")].entries

    def test_calendar_is_listed_under_the_id_that_reads_it(self, vendor: Vendor) -> None:
        provider = vendor.provider(self.connection(vendor))
        assert vendor.calendar in {calendar.external_id for calendar in provider.calendars()}

    def test_second_visit_finds_the_same_calendars_by_what_the_first_remembered(self, vendor: Vendor) -> None:
        first = vendor.provider(self.connection(vendor))
        found = first.calendars()
        state = first.state()
        before = vendor.requests()
        second = vendor.provider(self.connection(vendor, state=state))
        assert second.calendars() == found
        assert vendor.requests() - before == 1

    def test_empty_calendar_is_a_snapshot_of_nothing(self, vendor: Vendor) -> None:
        read = self.read(vendor)
        assert isinstance(read.end, Snapshot)
        assert (read.resources, read.withheld, read.removed) == ({}, {}, [])

    def test_first_read_brings_every_event_once_and_ends_as_snapshot(self, vendor: Vendor) -> None:
        for number in range(7):
            vendor.put(f"event-{number}", event(f"u{number}", "DTSTART:20260320T090000Z", f"SUMMARY:Number {number}"))
        read = self.read(vendor)
        assert isinstance(read.end, Snapshot)
        assert set(read.resources) == {vendor.id_of(f"event-{number}") for number in range(7)}
        titles = sorted(entry.title for resource in read.resources.values() for entry in resource.entries)
        assert titles == [f"Number {number}" for number in range(7)]

    def test_entries_carry_the_id_and_etag_of_their_resource(self, vendor: Vendor) -> None:
        (entry,) = self.entries(vendor, event("u", "DTSTART:20260320T090000Z"))
        (resource,) = self.read(vendor).resources.values()
        assert resource.etag
        assert (entry.external_event_id, entry.etag) == (resource.external_event_id, resource.etag)

    def test_read_without_changes_costs_one_request_and_brings_nothing(self, vendor: Vendor) -> None:
        vendor.put("one", event("u", "DTSTART:20260320T090000Z"))
        first = self.read(vendor)
        before = vendor.requests()
        second = self.read(vendor, first.cursor)
        assert vendor.requests() - before == 1
        assert isinstance(second.end, Delta)
        assert second.pages == 0

    def test_delta_names_what_was_created_changed_and_deleted_and_nothing_else(self, vendor: Vendor) -> None:
        for name in ("kept", "changed", "deleted"):
            vendor.put(name, event(name, "DTSTART:20260320T090000Z", "SUMMARY:Before"))
        first = self.read(vendor)
        vendor.put("created", event("created", "DTSTART:20260321T090000Z"))
        vendor.put("changed", event("changed", "DTSTART:20260320T090000Z", "SUMMARY:After"))
        vendor.delete("deleted")
        second = self.read(vendor, first.cursor)
        assert isinstance(second.end, Delta)
        assert set(second.resources) == {vendor.id_of("created"), vendor.id_of("changed")}
        assert second.resources[vendor.id_of("changed")].entries[0].title == "After"
        assert second.removed == [vendor.id_of("deleted")]

    def test_changed_event_has_another_etag(self, vendor: Vendor) -> None:
        vendor.put("one", event("u", "DTSTART:20260320T090000Z", "SUMMARY:Before"))
        before = self.read(vendor).resources[vendor.id_of("one")].etag
        vendor.put("one", event("u", "DTSTART:20260320T090000Z", "SUMMARY:After"))
        assert self.read(vendor).resources[vendor.id_of("one")].etag != before

    def test_lost_cursor_is_said_and_never_an_empty_calendar(self, vendor: Vendor) -> None:
        vendor.put("one", event("u", "DTSTART:20260320T090000Z"))
        first = self.read(vendor)
        vendor.lose_cursors()
        vendor.put("two", event("v", "DTSTART:20260320T090000Z"))
        with pytest.raises(CursorLost):
            self.read(vendor, first.cursor)
        again = self.read(vendor)
        assert isinstance(again.end, Snapshot)
        assert set(again.resources) == {vendor.id_of("one"), vendor.id_of("two")}

    def test_calendar_that_is_no_more_is_said_to_be_gone(self, vendor: Vendor) -> None:
        first = self.read(vendor)
        vendor.drop_calendar()
        with pytest.raises(CalendarGone):
            self.read(vendor, first.cursor)

    @pytest.mark.parametrize("way", faults.WAYS)
    @pytest.mark.parametrize("whole", [True, False], ids=["of a full read", "of a read of changes"])
    def test_answer_that_goes_wrong_has_its_class_and_ends_nothing(self, vendor: Vendor, way: str, whole: bool) -> None:
        """Row 20, for every provider."""
        for number in range(7):
            vendor.put(f"event-{number}", event(f"u{number}", "DTSTART:20260320T090000Z"))
        cursor = "" if whole else self.read(vendor).cursor
        for number in range(7):
            vendor.put(f"event-{number}", event(f"u{number}", "DTSTART:20260321T090000Z", "SUMMARY:Moved"))
        for on in range(1, self.requests_of_a_read + 1):
            vendor.fail(way, on=on)
            ended, failure = self.failed_read(vendor, cursor)
            assert not ended
            assert isinstance(failure, faults.WAYS[way])
            if isinstance(failure, Throttled):
                assert failure.retry_after == faults.WAIT
            vendor.recover()
        again = self.read(vendor, cursor)
        assert {entry.title for resource in again.resources.values() for entry in resource.entries} == {"Moved"}
        assert len(again.resources) == 7

    def failed_read(self, vendor: Vendor, cursor: str) -> tuple[bool, ProviderError]:
        """Whether the read came to an end all the same, and why it failed."""
        provider = vendor.provider(self.connection(vendor))
        ended = False
        try:
            for answer in provider.changes(CalendarState(external_id=vendor.calendar, cursor=cursor)):
                ended = ended or not isinstance(answer, Page)
        except ProviderError as error:
            return ended, error
        raise AssertionError("the read went on as if nothing had happened")

    def test_checkpoint_is_asked_before_every_request_and_can_stop_the_read(self, vendor: Vendor) -> None:
        class LeaseLost(Exception):
            pass

        def refuse() -> None:
            raise LeaseLost

        before = vendor.requests()
        connection = self.connection(vendor, checkpoint=refuse)
        with pytest.raises(LeaseLost):
            Read.of(vendor.provider(connection).changes(CalendarState(external_id=vendor.calendar)))
        assert vendor.requests() == before

    # What an event says --------------------------------------------------------------------------------------

    def test_time_in_a_zone_is_an_instant_beside_its_zone_and_wall_time(self, vendor: Vendor) -> None:
        zoned = ("DTSTART;TZID=Europe/Berlin:20260320T090000", "DTEND;TZID=Europe/Berlin:20260320T100000")
        (entry,) = self.entries(vendor, calendar_object(BERLIN, component("u", *zoned)))
        assert entry.start_time == datetime(2026, 3, 20, 8, tzinfo=UTC)
        assert entry.end_time == datetime(2026, 3, 20, 9, tzinfo=UTC)
        assert (entry.time_zone, entry.local_start) == ("Europe/Berlin", "20260320T090000")

    def test_all_day_event_is_dates(self, vendor: Vendor) -> None:
        (entry,) = self.entries(
            vendor, event("u", "DTSTART;VALUE=DATE:20260320", "DTEND;VALUE=DATE:20260322"), time_zone="Asia/Tokyo"
        )
        assert entry.all_day
        assert entry.start_time == datetime(2026, 3, 20, tzinfo=UTC)
        assert entry.end_time == datetime(2026, 3, 22, tzinfo=UTC)

    def test_floating_time_is_read_in_the_calendars_zone(self, vendor: Vendor) -> None:
        (entry,) = self.entries(vendor, event("u", "DTSTART:20260320T090000"), time_zone="America/New_York")
        assert (entry.start_time.hour, entry.time_zone) == (13, "America/New_York")

    def test_series_keeps_rule_exceptions_and_instances_moved_or_cancelled(self, vendor: Vendor) -> None:
        master = component(
            "u",
            "DTSTART;TZID=Europe/Berlin:20260302T090000",
            "DTEND;TZID=Europe/Berlin:20260302T093000",
            "RRULE:FREQ=WEEKLY;BYDAY=MO",
            "EXDATE;TZID=Europe/Berlin:20260309T090000",
        )
        moved = component(
            "u",
            "RECURRENCE-ID;TZID=Europe/Berlin:20260316T090000",
            "DTSTART;TZID=Europe/Berlin:20260317T110000",
            "DTEND;TZID=Europe/Berlin:20260317T113000",
        )
        cancelled = component(
            "u",
            "RECURRENCE-ID;TZID=Europe/Berlin:20260330T090000",
            "DTSTART;TZID=Europe/Berlin:20260330T090000",
            "DTEND;TZID=Europe/Berlin:20260330T093000",
            "STATUS:CANCELLED",
        )
        found = self.entries(vendor, calendar_object(BERLIN, master, moved, cancelled))
        assert [entry.recurrence_id for entry in found] == ["", "20260316T080000Z", "20260330T070000Z"]
        assert found[0].recurrence_rule == "FREQ=WEEKLY;BYDAY=MO"
        assert found[0].exdates == ("20260309T080000Z",)
        assert found[1].start_time == datetime(2026, 3, 17, 10, tzinfo=UTC)
        assert (found[2].status, found[2].fbtype) == ("cancelled", "free")

    @pytest.mark.parametrize(
        ("lines", "fbtype"),
        [
            pytest.param((), "busy", id="an ordinary event is busy"),
            pytest.param(("TRANSP:TRANSPARENT",), "free", id="a transparent one is free"),
            pytest.param(("STATUS:TENTATIVE",), "busy-tentative", id="a tentative one is tentative"),
            pytest.param(("STATUS:CANCELLED",), "free", id="a cancelled one is free"),
            pytest.param((f"ATTENDEE;PARTSTAT=DECLINED:mailto:{ALICE}",), "free", id="what the owner declined is free"),
            pytest.param(
                ("ATTENDEE;PARTSTAT=DECLINED:mailto:bob@acme.example",), "busy", id="another's refusal frees nobody"
            ),
        ],
    )
    def test_free_busy_of_an_event(self, vendor: Vendor, lines: tuple[str, ...], fbtype: str) -> None:
        organizer = ("ORGANIZER:mailto:carol@acme.example",) if any("ATTENDEE" in line for line in lines) else ()
        found = self.entries(vendor, event("u", "DTSTART:20260320T090000Z", *organizer, *lines))
        gone = self.forgets_cancelled and "STATUS:CANCELLED" in lines
        assert [entry.fbtype for entry in found] == ([] if gone else [fbtype])
