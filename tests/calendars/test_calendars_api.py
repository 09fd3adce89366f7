"""`…/calendar_accounts/:account_id/calendars`"""

from datetime import UTC, datetime

import pytest
from django.conf import LazySettings
from pytest_django import DjangoAssertNumQueries

from busyblocks.models import BusyBlock
from calendars.models import Calendar, CalendarAccount, WithheldEvent
from tests.calendars.mirror import MEMORY, mirrored_account
from tests.calendars.people import alice, bob, errors, mallory
from tests.calendars.test_accounts import calendar_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(settings: LazySettings) -> CalendarAccount:
    settings.CALENDAR_PROVIDERS = MEMORY
    return mirrored_account()


@pytest.fixture
def path(account: CalendarAccount) -> str:
    return f"/users/alice/calendar_accounts/{account.unique_id}/calendars"


def test_calendar_shows_what_the_remote_says_of_it_and_how_its_mirror_fares(
    account: CalendarAccount, path: str
) -> None:
    calendar = calendar_of(account)
    Calendar.objects.update(name="Work", color="#ff0000", time_zone="Europe/Berlin", primary=True, held_count=1)
    BusyBlock.objects.filter(external_event_id="e0").update(
        absent_since=datetime(2026, 3, 2, tzinfo=UTC), title="Lunch"
    )
    data = alice().get(f"{path}/{calendar.unique_id}").json()["data"]
    assert (data["type"], data["id"]) == ("calendar", str(calendar.unique_id))
    shown = data["attributes"]
    assert (shown["name"], shown["color"], shown["time_zone"], shown["primary"]) == (
        "Work",
        "#ff0000",
        "Europe/Berlin",
        True,
    )
    assert (shown["sync_enabled"], shown["last_synced_at"], shown["last_error"]) == (True, None, None)
    assert (shown["events_count"], shown["withheld_count"], shown["held_deletions_count"]) == (2, 1, 1)
    assert shown["withheld"] == [{"external_event_id": "odd", "reason": "No zone has this name."}]
    assert shown["held_deletions"] == [
        {"external_event_id": "e0", "title": "Lunch", "start_time": "2026-03-02T12:00:00Z"}
    ]


def test_calendar_is_left_out_and_taken_in_again(account: CalendarAccount, path: str) -> None:
    calendar = calendar_of(account)
    off = alice().put(f"{path}/{calendar.unique_id}", {"calendar": {"sync_enabled": False}})
    assert off.status_code == 200
    assert (off.json()["data"]["attributes"]["sync_enabled"], BusyBlock.objects.count()) == (False, 0)
    on = alice().put(f"{path}/{calendar.unique_id}", {"sync_enabled": True})
    assert on.json()["data"]["attributes"]["sync_enabled"] is True


def test_change_of_a_calendar_that_is_no_yes_or_no_names_its_field(account: CalendarAccount, path: str) -> None:
    response = alice().put(f"{path}/{calendar_of(account).unique_id}", {"sync_enabled": "perhaps"})
    assert errors(response) == [("422", "validation_error", "/data/attributes/sync_enabled")]


def test_what_the_remote_decides_cannot_be_changed_here(account: CalendarAccount, path: str) -> None:
    calendar = calendar_of(account)
    alice().put(f"{path}/{calendar.unique_id}", {"name": "Mine", "cursor": "0"})
    calendar.refresh_from_db()
    assert (calendar.name, calendar.cursor, calendar.sync_enabled) == ("", "7", True)


def test_withheld_events_are_capped_and_counted(account: CalendarAccount, path: str) -> None:
    calendar = calendar_of(account)
    WithheldEvent.objects.bulk_create(
        WithheldEvent(calendar=calendar, external_event_id=f"w{number}", reason="No.") for number in range(40)
    )
    shown = alice().get(path).json()["data"][0]["attributes"]
    assert (len(shown["withheld"]), shown["withheld_count"]) == (20, 41)


def test_list_costs_the_same_queries_for_any_number_of_calendars(
    account: CalendarAccount, path: str, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    caller = alice()
    for _ in range(10):
        calendar_of(account)
    # The key, the account, the count, the page, its withheld events, its origins' held rows.
    with django_assert_num_queries(6):
        response = caller.get(path)
    assert len(response.json()["data"]) == 10


def test_calendars_of_an_unknown_account_are_a_404_about_the_account(account: CalendarAccount) -> None:
    for unknown in ("nonsense", "8d0f3a52-2cf5-4c52-b4f1-0f4c8a5b6c7d"):
        response = alice().get(f"/users/alice/calendar_accounts/{unknown}/calendars")
        assert response.json()["errors"][0]["title"] == "Calendar Account Not Found"


def test_calendar_is_found_under_its_own_account_only(account: CalendarAccount, path: str) -> None:
    other = mirrored_account(email="team@acme.example")
    response = alice().get(f"{path}/{calendar_of(other).unique_id}")
    assert response.status_code == 404
    assert response.json()["errors"][0]["title"] == "Calendar Not Found"


def test_mallory_and_bob_reach_no_calendar_of_alice(account: CalendarAccount, path: str) -> None:
    one = f"{path}/{calendar_of(account).unique_id}"
    for caller, status in ((mallory(), 404), (bob(), 403)):
        answers = [caller.get(path), caller.get(one), caller.put(one, {"sync_enabled": False})]
        assert [answer.status_code for answer in answers] == [status] * 3
    assert Calendar.objects.get().sync_enabled
    assert BusyBlock.objects.count() == 2
