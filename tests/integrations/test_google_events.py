"""Reading a calendar by pages and by changes: what comes in which order, and what it costs."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from pytest_django import Settings

from calendars.providers import CursorLost, Delta, Page, RemoteCalendar, Snapshot
from integrations.google.events import WINDOW_STEP
from tests.contracts.contract import ALICE
from tests.integrations.google import NOW, changes, entries, provider, read, simulated_google
from tests.simulators.base import query_of
from tests.simulators.google import GoogleSimulator, dates, error, timed
from tests.simulators.google.events import JSON

WEEKLY = timed("2026-03-02T09:00", zone="Europe/Berlin", summary="Standup", recurrence=["RRULE:FREQ=WEEKLY"])
MOVED = timed("2026-03-10T11:00", zone="Europe/Berlin", summary="Standup, moved")


@pytest.fixture
def google(settings: Settings) -> Iterator[GoogleSimulator]:
    with simulated_google(settings) as running:
        yield running


def masters_last(event: JSON) -> tuple[bool, str]:
    return "recurringEventId" not in event, event["id"]


def masters_first(event: JSON) -> tuple[bool, str]:
    return "recurringEventId" in event, event["id"]


# What is asked ------------------------------------------------------------------------------------------------------


def test_requests_of_a_first_read_are_its_pages(google: GoogleSimulator) -> None:
    for number in range(1200):
        google.calendars.put(ALICE, f"event{number}", timed("2026-03-02T09:00"), quietly=True)
    assert len(read(google).resources) == 1200
    assert len(google.asked) == 3


def test_read_without_changes_is_one_request(google: GoogleSimulator) -> None:
    google.put(ALICE, "event1", timed("2026-03-02T09:00"))
    cursor = read(google).cursor
    google.forget()
    found = read(google, cursor)
    assert (len(google.asked), found.pages, type(found.end)) == (1, 0, Delta)


def test_every_request_has_the_same_parameters_but_for_window_and_tokens(google: GoogleSimulator) -> None:
    google.calendars.page_sizes = [1, 1]
    for number in range(3):
        google.put(ALICE, f"event{number}", timed("2026-03-02T09:00"))
    cursor = read(google).cursor
    for number in range(3):
        google.put(ALICE, f"event{number}", timed("2026-03-03T09:00"))
    read(google, cursor)
    queries = [query_of(ask) for ask in google.asked]
    own = {"timeMin", "timeMax", "syncToken", "pageToken"}
    assert (
        len({tuple(sorted((key, value) for key, value in query.items() if key not in own)) for query in queries}) == 1
    )
    assert [sorted(query.keys() & own) for query in queries] == [
        ["timeMax", "timeMin"],
        ["pageToken", "timeMax", "timeMin"],
        ["pageToken", "timeMax", "timeMin"],
        ["syncToken"],
        ["pageToken", "syncToken"],
        ["pageToken", "syncToken"],
    ]
    assert queries[0]["singleEvents"] == "false"
    assert queries[0]["maxAttendees"] == "1"


@pytest.mark.parametrize(
    "id_", ["team/one@group.example", "#contacts@group.v.calendar.google.com", "a+b c%2F@x.example"]
)
def test_id_of_a_calendar_reaches_google_as_it_is(google: GoogleSimulator, id_: str) -> None:
    google.add_calendar(id_, owner=ALICE)
    google.put(id_, "event1", timed("2026-03-02T09:00"))
    assert set(read(google, calendar=id_).resources) == {"event1"}


def test_answer_without_the_members_that_were_not_asked_for_is_all_that_comes(google: GoogleSimulator) -> None:
    google.put(ALICE, "event1", timed("2026-03-02T09:00", summary="Lunch"))
    read(google)
    (ask,) = google.asked
    assert "reminders" not in parse_qs(urlsplit(ask.path).query)["fields"][0]


# Series and their changed instances ---------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [masters_first, masters_last])
@pytest.mark.parametrize("page_sizes", [[], [1, 1, 1, 1]], ids=["on one page", "each on a page of its own"])
def test_series_is_the_same_in_whatever_order_it_comes(
    google: GoogleSimulator, order: object, page_sizes: list[int]
) -> None:
    google.calendars.order = order  # type: ignore[assignment]
    google.calendars.page_sizes = page_sizes
    cursor = read(google).cursor
    google.put(ALICE, "standup", WEEKLY)
    google.move_instance(ALICE, "standup", "2026-03-09T09:00", MOVED)
    google.cancel_instance(ALICE, "standup", "2026-03-16T09:00")
    for found in (read(google), read(google, cursor)):
        by_instance = entries(found, "standup")
        assert set(by_instance) == {"", "20260309T080000Z", "20260316T080000Z"}
        assert by_instance["20260309T080000Z"].title == "Standup, moved"
        assert by_instance["20260316T080000Z"].status == "cancelled"


def test_changed_instance_alone_leaves_the_rest_of_its_series(google: GoogleSimulator) -> None:
    google.put(ALICE, "standup", WEEKLY)
    cursor = read(google).cursor
    google.move_instance(ALICE, "standup", "2026-03-09T09:00", MOVED)
    resource = read(google, cursor).resources["standup"]
    assert (resource.whole, [entry.recurrence_id for entry in resource.entries]) == (False, ["20260309T080000Z"])


def test_changed_master_alone_keeps_its_instances(google: GoogleSimulator) -> None:
    google.put(ALICE, "standup", WEEKLY)
    google.move_instance(ALICE, "standup", "2026-03-09T09:00", MOVED)
    cursor = read(google).cursor
    google.put(ALICE, "standup", {**WEEKLY, "summary": "Daily"})
    resource = read(google, cursor).resources["standup"]
    assert (resource.whole, [entry.title for entry in resource.entries]) == (False, ["Daily"])


def test_series_that_became_a_single_event_is_whole(google: GoogleSimulator) -> None:
    google.put(ALICE, "standup", WEEKLY)
    cursor = read(google).cursor
    google.put(ALICE, "standup", timed("2026-03-02T09:00"))
    assert read(google, cursor).resources["standup"].whole


@pytest.mark.parametrize("order", [masters_first, masters_last])
def test_deleted_series_takes_its_instances_along_in_whatever_order_they_come(
    google: GoogleSimulator, order: object
) -> None:
    google.calendars.order = order  # type: ignore[assignment]
    google.put(ALICE, "standup", WEEKLY)
    google.move_instance(ALICE, "standup", "2026-03-09T09:00", MOVED)
    google.cancel_instance(ALICE, "standup", "2026-03-16T09:00")
    cursor = read(google).cursor
    google.delete(ALICE, "standup")
    found = read(google, cursor, stored=["standup"])
    assert found.resources == {}
    assert "standup" in found.removed


@pytest.mark.parametrize("order", [masters_first, masters_last])
def test_instance_that_outlives_its_series_is_all_that_is_left(google: GoogleSimulator, order: object) -> None:
    google.calendars.order = order  # type: ignore[assignment]
    google.put(ALICE, "standup", WEEKLY)
    google.move_instance(ALICE, "standup", "2026-03-09T09:00", MOVED)
    cursor = read(google).cursor
    instance = google.calendars.events(ALICE)["standup_20260309T080000Z"]
    google.delete(ALICE, "standup")
    google.put(ALICE, "standup_20260309T080000Z", instance)
    resource = read(google, cursor, stored=["standup"]).resources["standup"]
    assert (resource.whole, [entry.recurrence_id for entry in resource.entries]) == (True, ["20260309T080000Z"])


def test_cancelled_instance_of_an_unknown_series_means_nothing(google: GoogleSimulator) -> None:
    google.put(ALICE, "standup", WEEKLY)
    cursor = read(google).cursor
    google.cancel_instance(ALICE, "standup", "2026-03-16T09:00")
    assert read(google, cursor).resources == {}
    assert set(entries(read(google, cursor, stored=["standup"]), "standup")) == {"20260316T080000Z"}


def test_tombstone_that_has_only_an_instances_id_cancels_that_instance(google: GoogleSimulator) -> None:
    google.put(ALICE, "standup", WEEKLY)
    google.put(ALICE, "holiday", dates("2026-03-02", recurrence=["RRULE:FREQ=WEEKLY"]))
    cursor = read(google).cursor
    for id_ in ("standup_20260316T080000Z", "holiday_20260316"):
        tombstone = {"kind": "calendar#event", "id": id_, "status": "cancelled"}
        kept = google.calendars.calendars[ALICE]
        kept.log.append((id_, None))
        kept.events[id_] = tombstone
    found = read(google, cursor, stored=["standup", "holiday"])
    assert entries(found, "standup")["20260316T080000Z"].status == "cancelled"
    assert entries(found, "holiday")["20260316"].all_day
    assert sorted(found.removed) == ["holiday_20260316", "standup_20260316T080000Z"]


def test_later_half_of_a_split_series_is_a_series_of_its_own(google: GoogleSimulator) -> None:
    google.put(ALICE, "standup_R20260316T080000", WEEKLY)
    cursor = read(google).cursor
    google.delete(ALICE, "standup_R20260316T080000")
    assert read(google, cursor).removed == ["standup_R20260316T080000"]


def test_instance_that_cannot_be_read_is_withheld_under_its_own_id(google: GoogleSimulator) -> None:
    google.put(ALICE, "standup", WEEKLY)
    odd = {**MOVED, "end": {"dateTime": "2026-03-09T09:00:00Z"}}
    google.move_instance(ALICE, "standup", "2026-03-09T09:00", odd)
    found = read(google)
    assert list(found.withheld) == ["standup_20260309T080000Z"]
    assert set(entries(found, "standup")) == {""}


def test_instance_that_can_be_read_again_is_not_withheld_any_more(google: GoogleSimulator) -> None:
    google.put(ALICE, "standup", WEEKLY)
    cursor = read(google).cursor
    google.move_instance(ALICE, "standup", "2026-03-09T09:00", MOVED)
    assert read(google, cursor).removed == ["standup_20260309T080000Z"]


# Changes during the read --------------------------------------------------------------------------------------------


@pytest.fixture
def four(google: GoogleSimulator) -> GoogleSimulator:
    """Four events, in pages of two."""
    for number in range(4):
        google.put(ALICE, f"event{number}", timed("2026-03-02T09:00", summary="Before"))
    google.calendars.order = lambda event: event["id"]
    google.calendars.page_sizes = [2, 2, 2]
    return google


def test_event_deleted_between_pages_is_named_by_the_next_changes(four: GoogleSimulator) -> None:
    four.before(lambda: four.delete(ALICE, "event0"), on=2)
    four.before(lambda: four.delete(ALICE, "event3"), on=2)
    first = read(four)
    assert set(first.resources) == {"event0", "event1", "event2"}
    assert sorted(read(four, first.cursor).removed) == ["event0", "event3"]


def test_event_changed_between_pages_comes_with_the_next_changes(four: GoogleSimulator) -> None:
    four.before(lambda: four.put(ALICE, "event0", timed("2026-03-02T09:00", summary="After")), on=2)
    first = read(four)
    assert first.resources["event0"].entries[0].title == "Before"
    assert read(four, first.cursor).resources["event0"].entries[0].title == "After"


def test_event_moved_to_another_calendar_between_pages_is_there_and_not_here(four: GoogleSimulator) -> None:
    four.add_calendar("other@acme.example", owner=ALICE)
    four.before(lambda: four.move(ALICE, "event3", to="other@acme.example"), on=2)
    first = read(four)
    assert "event3" not in first.resources
    assert read(four, first.cursor).removed == ["event3"]
    assert set(read(four, calendar="other@acme.example").resources) == {"event3"}


def test_newest_version_of_an_event_shown_twice_wins(four: GoogleSimulator) -> None:
    """Row 28."""
    cursor = read(four).cursor
    four.put(ALICE, "event0", timed("2026-03-02T09:00", summary="After"))
    for start in ("", cursor):
        four.calendars.show_twice(ALICE, "event0")
        assert read(four, start).resources["event0"].entries[0].title == "After"


# The window ---------------------------------------------------------------------------------------------------------


def test_full_read_asks_for_the_window_and_vouches_for_its_inside(google: GoogleSimulator) -> None:
    end = read(google).end
    query = query_of(google.asked[0])
    start, until = (datetime.fromisoformat(query[name]) for name in ("timeMin", "timeMax"))
    assert start <= NOW - timedelta(days=90)
    assert until >= NOW + timedelta(days=400)
    assert until - start <= timedelta(days=490) + WINDOW_STEP
    assert isinstance(end, Snapshot)
    assert end.window is not None
    assert start < end.window[0] < NOW < end.window[1] < until


def test_history_before_the_window_is_not_read(google: GoogleSimulator) -> None:
    google.put(ALICE, "ancient", timed("2019-03-02T09:00"))
    google.put(ALICE, "distant", timed("2031-03-02T09:00"))
    google.put(ALICE, "standup", timed("2019-03-02T09:00", recurrence=["RRULE:FREQ=WEEKLY"]))
    assert set(read(google).resources) == {"standup"}


def test_window_that_moved_on_is_read_anew_in_the_same_sync(google: GoogleSimulator) -> None:
    google.put(ALICE, "event1", timed("2026-03-02T09:00"))
    cursor = read(google).cursor
    with time_machine.travel(NOW + WINDOW_STEP, tick=False):
        google.forget()
        later = read(google, cursor)
        assert isinstance(later.end, Snapshot)
        assert set(later.resources) == {"event1"}
        assert len(google.asked) == 1
        assert isinstance(read(google, later.cursor).end, Delta)


def test_each_calendar_moves_its_window_at_a_moment_of_its_own(google: GoogleSimulator) -> None:
    names = [f"team{number}@acme.example" for number in range(40)]
    for name in names:
        google.add_calendar(name, owner=ALICE)
    cursors = {name: read(google, calendar=name).cursor for name in names}
    read_anew: list[int] = []
    for week in range(5):
        with time_machine.travel(NOW + timedelta(weeks=week), tick=False):
            ends = {name: read(google, cursors[name], calendar=name) for name in names}
            read_anew.append(sum(isinstance(found.end, Snapshot) for found in ends.values()))
            cursors = {name: found.cursor for name, found in ends.items()}
    assert read_anew[0] == 0
    assert sum(read_anew) == 40
    assert max(read_anew) < 20


def test_changed_settings_of_the_window_are_read_anew(google: GoogleSimulator, settings: Settings) -> None:
    google.put(ALICE, "ancient", timed("2025-03-02T09:00"))
    first = read(google)
    settings.SYNC_WINDOW_PAST_DAYS = 500
    second = read(google, first.cursor)
    assert isinstance(second.end, Snapshot)
    assert set(second.resources) == {"ancient"}


# Calendars ----------------------------------------------------------------------------------------------------------


def test_calendars_come_by_pages_and_hold_what_the_list_says(google: GoogleSimulator) -> None:
    google.calendars.page_sizes = [2]
    google.add_calendar("team@acme.example", owner=ALICE, time_zone="Europe/Berlin", summaryOverride="Our team")
    google.add_calendar("nameless@acme.example", owner=ALICE)
    google.calendars.calendars["nameless@acme.example"].name = ""
    assert provider(google).calendars() == [
        RemoteCalendar(external_id=ALICE, name=ALICE, color="#9fe1e7", time_zone="UTC", primary=True),
        RemoteCalendar(
            external_id="team@acme.example", name="Our team", color="#9fe1e7", time_zone="Europe/Berlin", primary=False
        ),
        RemoteCalendar(external_id="nameless@acme.example", color="#9fe1e7", time_zone="UTC"),
    ]
    assert len(google.asked) == 2


@pytest.mark.parametrize(
    ("role", "wanted", "because"),
    [
        ("owner", True, "it is the user's own"),
        ("writer", True, "the user plans in it"),
        ("writerWithoutPrivateAccess", True, "the user plans in it"),
        ("reader", False, "it shows others' time"),
        ("freeBusyReader", False, "it shows others' time"),
    ],
)
def test_calendar_is_mirrored_unasked(google: GoogleSimulator, role: str, wanted: bool, because: str) -> None:
    google.add_calendar("team@acme.example", owner=ALICE, role=role)
    assert provider(google).calendars()[1].wanted is wanted, because


@pytest.mark.parametrize("facts", [{"hidden": True}, {"deleted": True}])
def test_calendar_that_the_user_took_from_their_list_is_not_listed(google: GoogleSimulator, facts: JSON) -> None:
    google.add_calendar("old@acme.example", owner=ALICE, **facts)
    assert [calendar.external_id for calendar in provider(google).calendars()] == [ALICE]


def test_page_of_changes_that_comes_before_a_lost_cursor_is_no_end(google: GoogleSimulator) -> None:
    google.calendars.page_sizes = [1]
    cursor = read(google).cursor
    for number in range(2):
        google.put(ALICE, f"event{number}", timed("2026-03-02T09:00"))
    google.fail(error(410, "fullSyncRequired"), on=2)
    answers = changes(google, cursor)
    assert isinstance(next(answers), Page)
    with pytest.raises(CursorLost):
        next(answers)


def test_times_of_the_window_are_utc(google: GoogleSimulator) -> None:
    read(google)
    assert all(datetime.fromisoformat(query_of(google.asked[0])[name]).tzinfo == UTC for name in ("timeMin", "timeMax"))
