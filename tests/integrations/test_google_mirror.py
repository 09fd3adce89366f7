"""The whole way: the simulated Google's calendars into the ledger, over the wire, token refresh included."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from busyblocks import freebusy
from busyblocks.models import BusyBlock
from calendars.models import Calendar, CalendarAccount, WithheldEvent
from integrations.google.events import WINDOW_STEP
from tenancy.models import CrmUser
from tests.calendars.mirror import synced, titles
from tests.contracts.contract import ALICE
from tests.integrations.google import NOW, connected, rows, simulated_google
from tests.simulators.base import query_of
from tests.simulators.google import GoogleSimulator, error, timed

pytestmark = pytest.mark.django_db

WEEKLY = timed("2026-03-02T09:00", zone="Europe/Berlin", summary="Standup", recurrence=["RRULE:FREQ=WEEKLY"])
MOVED = timed("2026-03-10T11:00", zone="Europe/Berlin", summary="Standup, moved")


@pytest.fixture
def google(settings: Settings) -> Iterator[GoogleSimulator]:
    with simulated_google(settings) as running:
        running.calendars.page_sizes = [2, 0, 2]
        running.put(ALICE, "lunch", timed("2026-03-20T12:00", summary="Lunch"))
        running.put(ALICE, "standup", WEEKLY)
        running.move_instance(ALICE, "standup", "2026-03-09T09:00", MOVED)
        running.cancel_instance(ALICE, "standup", "2026-03-16T09:00")
        yield running


@pytest.fixture
def account(google: GoogleSimulator, alice: CrmUser) -> CalendarAccount:
    return connected(google, alice)


def busy(account: CalendarAccount, day: str) -> list[str]:
    """Free/busy of one day, UTC."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return [
        f"{period.start:%H:%M}-{period.end:%H:%M}"
        for period in freebusy.periods(account.user, start, start + timedelta(days=1))
    ]


def test_first_sync_mirrors_what_is_there(account: CalendarAccount) -> None:
    assert synced(account).succeeded
    assert set(rows(account)) == {
        ("lunch", ""),
        ("standup", ""),
        ("standup", "20260309T080000Z"),
        ("standup", "20260316T080000Z"),
    }
    assert [busy(account, day) for day in ("2026-03-02", "2026-03-09", "2026-03-10", "2026-03-16", "2026-03-23")] == [
        ["08:00-09:00"],
        [],
        ["10:00-11:00"],
        [],
        ["08:00-09:00"],
    ]


def test_changes_of_a_series_reach_the_ledger_one_by_one(account: CalendarAccount, google: GoogleSimulator) -> None:
    synced(account)
    google.cancel_instance(ALICE, "standup", "2026-03-23T09:00")
    synced(account)
    assert busy(account, "2026-03-23") == []
    google.put(ALICE, "standup", {**WEEKLY, "summary": "Daily"})
    synced(account)
    assert busy(account, "2026-03-10") == ["10:00-11:00"]
    assert titles(account).count("Standup, moved") == 1
    google.delete(ALICE, "standup")
    synced(account)
    assert set(rows(account)) == {("lunch", "")}


def test_event_moved_between_calendars_is_there_once(account: CalendarAccount, google: GoogleSimulator) -> None:
    google.add_calendar("team@acme.example", owner=ALICE)
    synced(account)
    google.move(ALICE, "lunch", to="team@acme.example")
    synced(account)
    (row,) = BusyBlock.objects.filter(external_event_id="lunch")
    assert row.origin.name == ""


def test_full_read_takes_away_the_instance_that_went_back_into_its_series(
    account: CalendarAccount, google: GoogleSimulator
) -> None:
    synced(account)
    del google.calendars.calendars[ALICE].events["standup_20260309T080000Z"]
    google.calendars.calendars[ALICE].log = [
        change for change in google.calendars.calendars[ALICE].log if change[0] != "standup_20260309T080000Z"
    ]
    google.lose_cursors()
    synced(account)
    assert ("standup", "20260309T080000Z") not in rows(account)
    assert busy(account, "2026-03-09") == ["08:00-09:00"]


def test_instance_moved_out_of_the_window_keeps_its_old_place_free_through_a_new_baseline(
    account: CalendarAccount, google: GoogleSimulator
) -> None:
    synced(account)
    google.move_instance(ALICE, "standup", "2026-03-09T09:00", timed("2033-03-10T11:00"))
    synced(account)
    google.lose_cursors()
    synced(account)
    assert busy(account, "2026-03-09") == []


def test_history_stays_when_the_window_moves_on(account: CalendarAccount, google: GoogleSimulator) -> None:
    synced(account)
    with time_machine.travel(NOW + timedelta(days=365), tick=False):
        google.forget()
        assert synced(account).succeeded
        assert any("timeMin" in query_of(ask) for ask in google.asked_for("/events"))
        assert ("lunch", "") in rows(account)


def test_event_beyond_the_window_comes_when_the_window_reaches_it(
    account: CalendarAccount, google: GoogleSimulator
) -> None:
    google.put(ALICE, "party", timed("2027-09-01T20:00", summary="Party"))
    synced(account)
    assert ("party", "") not in rows(account)
    for step in range(1, 8):
        with time_machine.travel(NOW + step * WINDOW_STEP, tick=False):
            synced(account)
    assert ("party", "") in rows(account)


def test_series_that_is_not_understood_is_withheld_and_its_instances_are_not(
    account: CalendarAccount, google: GoogleSimulator
) -> None:
    google.put(ALICE, "standup", {**WEEKLY, "recurrence": ["RRULE:FREQ=DAILY", "RRULE:FREQ=WEEKLY"]})
    synced(account)
    assert WithheldEvent.objects.get().external_event_id == "standup"
    assert set(rows(account)) >= {("lunch", ""), ("standup", "20260309T080000Z")}
    google.put(ALICE, "standup", WEEKLY)
    synced(account)
    assert not WithheldEvent.objects.exists()
    assert ("standup", "") in rows(account)


def test_expired_access_token_is_renewed_in_the_middle_of_a_read(
    account: CalendarAccount, google: GoogleSimulator
) -> None:
    google.before(google.oauth.expire_access_tokens, on=3)
    assert synced(account).succeeded
    assert (len(rows(account)), len(google.asked_for("/token"))) == (4, 1)


def test_revoked_permission_asks_to_connect_again(account: CalendarAccount, google: GoogleSimulator) -> None:
    """Row 21: invalid_grant."""
    google.oauth.revoke_all(ALICE)
    assert not synced(account).succeeded
    account.refresh_from_db()
    assert account.last_error_code == "reconnect_needed"
    assert not account.connected


def test_throttled_account_waits_as_long_as_google_says(account: CalendarAccount, google: GoogleSimulator) -> None:
    google.fail(error(403, "userRateLimitExceeded", headers={"Retry-After": "600"}), path="/events")
    synced(account)
    account.refresh_from_db()
    assert account.vendor_retry_at == timezone.now() + timedelta(minutes=10)


def test_calendar_that_shows_others_time_waits_until_it_is_wanted(
    account: CalendarAccount, google: GoogleSimulator
) -> None:
    google.add_calendar("bob@acme.example", owner=ALICE, role="freeBusyReader")
    google.put("bob@acme.example", "private", timed("2026-03-20T15:00"))
    synced(account)
    assert ("private", "") not in rows(account)
    Calendar.objects.filter(external_id="bob@acme.example").update(sync_enabled=True)
    synced(account)
    assert ("private", "") in rows(account)
