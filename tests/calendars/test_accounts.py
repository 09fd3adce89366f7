"""Accounts: connecting, changing, leaving calendars out, disconnecting."""

from datetime import UTC, datetime, timedelta

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from busyblocks.models import BusyBlock, Origin
from calendars.errors import AlreadyConnected
from calendars.models import AccountRun, Calendar, CalendarAccount, Meeting, SyncRun, WithheldEvent
from calendars.oauth import Tokens
from calendars.providers import BadProviderData
from calendars.services import accounts, meetings
from calendars.services.meetings import Facts
from tenancy.errors import NotFound
from tenancy.models import Company, CrmUser
from tests.calendars.mirror import MEMORY
from tests.together import at_once

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
DATA = {"server_url": "https://dav.example", "username": "alice", "password": "first"}


@pytest.fixture(autouse=True)
def _memory(settings: LazySettings) -> None:
    settings.CALENDAR_PROVIDERS = MEMORY


@pytest.fixture
def alice() -> CrmUser:
    return CrmUser.objects.create(company=Company.objects.create(url_id="acme"), unique_id="alice")


def connected(user: CrmUser, **facts: object) -> CalendarAccount:
    given = {"provider": "caldav", "email": "alice@acme.example", "provider_data": DATA, "now": NOON, **facts}
    return accounts.connect(user, **given)  # type: ignore[arg-type]


def calendar_of(account: CalendarAccount, rows: int = 2) -> Calendar:
    origin = Origin.objects.create(user=account.user, source="caldav")
    calendar = Calendar.objects.create(account=account, origin=origin, external_id=f"c{origin.pk}", cursor="7")
    BusyBlock.objects.bulk_create(
        BusyBlock(
            company=account.company,
            user=account.user,
            origin=origin,
            external_event_id=f"e{number}",
            start_time=NOON,
            end_time=LATER,
        )
        for number in range(rows)
    )
    WithheldEvent.objects.create(calendar=calendar, external_event_id="odd", reason="No zone has this name.")
    return calendar


def test_account_with_credentials_is_connected_and_due_at_once(alice: CrmUser) -> None:
    account = connected(alice)
    assert (account.connected, account.status, account.next_attempt_at) == (True, "active", NOON)
    assert account.credentials == DATA


def test_account_without_credentials_exists_and_waits(alice: CrmUser) -> None:
    account = connected(alice, provider_data=None)
    assert (account.connected, account.status, account.next_attempt_at) == (False, "active", None)


def test_provider_without_a_backend_can_be_created_and_waits(alice: CrmUser) -> None:
    account = connected(alice, provider="google", provider_data=None)
    assert (account.connected, account.status) == (False, "active")


def test_tokens_of_a_provider_without_a_backend_are_kept_and_the_account_waits(alice: CrmUser) -> None:
    tokens = Tokens(access_token="at", refresh_token="rt", scopes=("a",), expires_at=LATER)
    account = connected(alice, provider="google", provider_data=None, tokens=tokens)
    account.refresh_from_db()
    assert account.credentials == {"access_token": "at", "refresh_token": "rt", "token_type": "", "scopes": ["a"]}
    assert (account.connected, account.token_expires_at) == (False, LATER)


def test_data_for_a_provider_without_a_backend_is_refused_not_stored(alice: CrmUser) -> None:
    with pytest.raises(BadProviderData):
        connected(alice, provider="ics", provider_data={"url": "https://feeds.example/a.ics"})
    assert not CalendarAccount.objects.exists()


def test_same_connection_again_is_the_same_account_with_its_rows(alice: CrmUser) -> None:
    first = connected(alice)
    calendar_of(first)
    CalendarAccount.objects.update(
        last_error_code="reconnect_needed", last_error="Refused.", failures=3, connected=False, status="error"
    )
    again = connected(alice, email="Alice@ACME.example", provider_data={**DATA, "password": "second"}, now=LATER)
    again.refresh_from_db()
    assert again.pk == first.pk
    assert (again.status, again.connected, again.failures, again.last_error) == ("active", True, 0, "")
    assert again.credentials == {**DATA, "password": "second"}
    assert again.next_attempt_at == LATER
    assert BusyBlock.objects.count() == 2


def test_another_user_name_at_the_server_is_another_account(alice: CrmUser) -> None:
    connected(alice)
    connected(alice, provider_data={**DATA, "username": "team"})
    assert CalendarAccount.objects.count() == 2


def test_credentials_that_come_later_go_to_the_account_that_waits_for_them(alice: CrmUser) -> None:
    waiting = connected(alice, provider_data=None)
    account = connected(alice)
    assert (account.pk, account.connected) == (waiting.pk, True)
    assert connected(alice).pk == waiting.pk


def test_request_without_credentials_means_the_account_of_that_email(alice: CrmUser) -> None:
    account = connected(alice)
    again = connected(alice, provider_data=None)
    again.refresh_from_db()
    assert (again.pk, again.connected, again.credentials) == (account.pk, True, DATA)


def test_account_of_the_same_email_of_another_user_is_another(alice: CrmUser) -> None:
    bob = CrmUser.objects.create(company=alice.company, unique_id="bob")
    assert connected(alice).pk != connected(bob).pk


@pytest.mark.parametrize(
    ("enabled", "error", "status"),
    [
        (True, "", "active"),
        (True, "unreachable", "error"),
        (False, "", "inactive"),
        (False, "unreachable", "inactive"),
    ],
)
def test_status_is_inactive_when_off_else_error_when_the_last_attempt_failed(
    alice: CrmUser, enabled: bool, error: str, status: str
) -> None:
    account = connected(alice)
    CalendarAccount.objects.update(sync_enabled=not enabled, last_error_code=error)
    assert accounts.change(account, sync_enabled=enabled, now=LATER).status == status


def test_switched_on_again_it_is_due_at_once(alice: CrmUser) -> None:
    account = accounts.change(connected(alice), sync_enabled=False, now=NOON)
    assert account.next_attempt_at is None
    assert accounts.change(account, sync_enabled=True, now=LATER).next_attempt_at == LATER


def test_switched_on_again_it_still_waits_as_long_as_the_vendor_asked(alice: CrmUser) -> None:
    account = accounts.change(connected(alice), sync_enabled=False, now=NOON)
    CalendarAccount.objects.update(vendor_retry_at=LATER)
    assert accounts.change(account, sync_enabled=True, now=NOON).next_attempt_at == LATER


def test_new_password_alone_keeps_the_server_and_the_user_name(alice: CrmUser) -> None:
    account = accounts.change(connected(alice), provider_data={"password": "second"}, now=LATER)
    account.refresh_from_db()
    assert account.credentials == {**DATA, "password": "second"}


def test_change_into_another_account_of_the_user_is_refused(alice: CrmUser) -> None:
    connected(alice)
    other = connected(alice, email="team@acme.example")
    with pytest.raises(AlreadyConnected):
        accounts.change(other, email="alice@acme.example", now=LATER)
    other.refresh_from_db()
    assert other.email == "team@acme.example"


def test_change_of_an_account_that_somebody_removed_is_not_found(alice: CrmUser) -> None:
    account = connected(alice)
    accounts.disconnect(account, now=NOON)
    with pytest.raises(NotFound):
        accounts.change(account, sync_enabled=False, now=LATER)


def test_disconnecting_removes_the_account_its_rows_and_its_secrets(alice: CrmUser) -> None:
    account = connected(alice)
    calendar_of(account)
    by_hand = BusyBlock.objects.create(company=alice.company, user=alice, start_time=NOON, end_time=LATER)
    before = CrmUser.objects.get().revision
    accounts.disconnect(account, now=NOON)
    assert not CalendarAccount.objects.exists()
    assert not Calendar.objects.exists()
    assert not Origin.objects.exists()
    assert list(BusyBlock.objects.all()) == [by_hand]
    assert CrmUser.objects.get().revision == before + 1


def test_disconnecting_costs_the_same_queries_for_many_rows_as_for_few(alice: CrmUser) -> None:
    counts = []
    for rows in (2, 2000):
        account = connected(alice)
        calendar_of(account, rows)
        with CaptureQueriesContext(connection) as queries:
            accounts.disconnect(account, now=NOON)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_disconnecting_twice_changes_nothing(alice: CrmUser) -> None:
    account = connected(alice)
    accounts.disconnect(account, now=NOON)
    before = CrmUser.objects.get().revision
    accounts.disconnect(account, now=LATER)
    assert CrmUser.objects.get().revision == before


def test_disconnecting_closes_the_runs_that_wait_for_the_account(alice: CrmUser) -> None:
    account = connected(alice)
    run = SyncRun.objects.create(company=alice.company, user=alice, accounts_count=1, started_at=NOON)
    part = AccountRun.objects.create(run=run, account=account)
    accounts.disconnect(account, now=LATER)
    run.refresh_from_db()
    part.refresh_from_db()
    assert (run.status, run.finished_at) == ("completed", LATER)
    assert part.error == "The account was disconnected."


def test_calendar_left_out_loses_its_rows_and_stays_listed(alice: CrmUser) -> None:
    account = connected(alice)
    calendar, kept = calendar_of(account), calendar_of(account, 3)
    before = CrmUser.objects.get().revision
    accounts.leave_out(calendar, now=LATER)
    calendar.refresh_from_db()
    assert (calendar.sync_enabled, calendar.cursor, calendar.withheld.count()) == (False, "", 0)
    assert set(BusyBlock.objects.values_list("origin", flat=True)) == {kept.origin_id}
    assert CrmUser.objects.get().revision == before + 1


def test_calendar_taken_in_again_makes_its_account_due(alice: CrmUser) -> None:
    account = connected(alice)
    calendar = accounts.leave_out(calendar_of(account), now=NOON)
    assert accounts.take_in(calendar, now=LATER).sync_enabled
    account.refresh_from_db()
    assert account.next_attempt_at == LATER


def test_calendar_taken_in_does_not_wake_an_account_that_is_switched_off(alice: CrmUser) -> None:
    account = connected(alice)
    calendar = accounts.leave_out(calendar_of(account), now=NOON)
    accounts.change(account, sync_enabled=False, now=NOON)
    accounts.take_in(calendar, now=LATER)
    account.refresh_from_db()
    assert account.next_attempt_at is None


def test_connecting_adopts_the_meetings_whose_host_nobody_was(alice: CrmUser) -> None:
    facts = Facts(start_time=NOON, end_time=LATER, organizer_email="alice@acme.example")
    meetings.schedule(alice.company, source="calcom", facts=facts, user=None, said_at=NOON, now=NOON)
    connected(alice, email="Alice@acme.example", provider_data=None)
    assert Meeting.objects.get().user == alice
    assert BusyBlock.objects.get().user == alice


def test_connecting_adopts_no_meeting_of_another_company(alice: CrmUser) -> None:
    globex = Company.objects.create(url_id="globex")
    facts = Facts(start_time=NOON, end_time=LATER, organizer_email="alice@acme.example")
    meetings.schedule(globex, source="calcom", facts=facts, user=None, said_at=NOON, now=NOON)
    connected(alice)
    assert Meeting.objects.get().user is None


def test_secrets_show_in_no_text_of_the_values_that_hold_them(alice: CrmUser) -> None:
    tokens = Tokens(access_token="canary-access", refresh_token="canary-refresh")
    account = connected(alice, provider="google", provider_data=None, tokens=tokens)
    assert "canary" not in repr(tokens) + repr(account) + str(account)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("waiting", [False, True], ids=["anew", "on an account that waits"])
def test_same_connection_made_eight_times_at_once_is_one_account(alice: CrmUser, waiting: bool) -> None:
    if waiting:
        connected(alice, provider_data=None)
    at_once([lambda: connected(alice)] * 8)
    assert CalendarAccount.objects.get().credentials == DATA
