"""Rows in one go: what is written is the same, whichever way the database takes it."""

from datetime import UTC, datetime

import pytest
from time_machine import travel

from busyblocks.entries import ENTRY_FIELDS, Entry, entry_of
from busyblocks.models import BusyBlock, Origin
from calendars.sync import bulk
from calendars.sync.bulk import Place, Row
from tenancy.models import CrmUser
from tests.calendars.mirror import MONDAY

pytestmark = pytest.mark.django_db

# No two values alike, and none its field's default.
FULL = Entry(
    external_event_id="event-1",
    series_id="series-1",
    etag='"7"',
    uid="uid-1@vendor.example",
    recurrence_id="20260302T080000Z",
    this_and_future=True,
    sequence=7,
    title="Tab\there, \\N is no NULL here, ünïcode",
    description='Lines\nand "quotes"',
    location="Room\\1",
    start_time=datetime(2026, 3, 2, 8, tzinfo=UTC),
    end_time=datetime(2026, 3, 2, 9, tzinfo=UTC),
    all_day=True,
    time_zone="Europe/Berlin",
    local_start="20260302T090000",
    duration="PT1H",
    recurrence_rule="FREQ=DAILY",
    rdates=("20260310T080000Z", "20260311T080000Z"),
    exdates=("20260303T080000Z",),
    transparency="transparent",
    status="tentative",
    fbtype="busy-tentative",
    classification="private",
)


@pytest.fixture
def place(alice: CrmUser) -> Place:
    origin = Origin.objects.create(user=alice, source="google")
    return Place(company_id=alice.company_id, user_id=alice.pk, origin_id=origin.pk, source="google")


def test_example_differs_from_a_bare_entry_in_every_field() -> None:
    bare = Entry(start_time=datetime(2026, 1, 1, tzinfo=UTC), end_time=datetime(2026, 1, 1, tzinfo=UTC))
    assert all(getattr(FULL, name) != getattr(bare, name) for name in ENTRY_FIELDS)


def test_inserted_row_says_what_its_entry_says_and_has_the_models_defaults_for_the_rest(place: Place) -> None:
    until = datetime(2027, 1, 1, tzinfo=UTC)
    with travel(MONDAY, tick=False):
        bulk.insert(place, [Row(FULL, until)])
    block = BusyBlock.objects.get()
    assert entry_of(block) == FULL
    assert (block.company_id, block.user_id) == (place.company_id, place.user_id)
    assert (block.origin_id, block.source, block.recurring, block.recurs_until) == (
        place.origin_id,
        "google",
        True,
        until,
    )
    assert (block.source_id, block.meeting_key, block.metadata, block.absent_since) == ("", "", {}, None)
    assert (block.created_at, block.updated_at) == (MONDAY, MONDAY)


def test_rewritten_row_keeps_its_key_and_public_id_and_says_what_its_entry_says(place: Place) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    bulk.insert(place, [Row(Entry(external_event_id="event-1", start_time=start, end_time=start), None)])
    before = BusyBlock.objects.get()
    bulk.rewrite(place, [Row(FULL, None, before.pk)])
    after = BusyBlock.objects.get()
    assert (after.pk, after.unique_id, after.created_at) == (before.pk, before.unique_id, before.created_at)
    assert entry_of(after) == FULL


def test_rows_of_one_call_have_public_ids_of_their_own(place: Place) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    entries = [Entry(external_event_id=f"event-{number}", start_time=start, end_time=start) for number in range(3)]
    bulk.insert(place, [Row(entry, None) for entry in entries])
    assert len(set(BusyBlock.objects.values_list("unique_id", flat=True))) == 3
