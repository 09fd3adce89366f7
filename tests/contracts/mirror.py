"""What the engine makes of every vendor: one suite beside the providers' own, with a real ledger behind it."""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from busyblocks.models import BusyBlock, Origin
from calendars.models import Calendar, CalendarAccount
from calendars.services import doors
from calendars.sync.engine import Verdict
from tenancy.models import Company, CrmUser
from tests.calendars.mirror import synced
from tests.contracts import faults
from tests.contracts.contract import ALICE, Vendor, event

FIRST, SECOND = "20260320T090000Z", "20260321T103000Z"


class Mirrored(Vendor, Protocol):
    """name: of the provider in accounts. stored: the credentials of an account that is connected."""

    name: str
    stored: dict[str, Any]

    def forget(self, *names: str) -> None:
        """These events are gone, and nothing says so: the next read is a full one that does not show them."""
        ...


@pytest.mark.django_db
class MirrorContract:
    """Inherit it beside ProviderContract; the fixture's vendor is a `Mirrored`."""

    def account(self, vendor: Mirrored) -> CalendarAccount:
        """alice's account, with the vendor's one calendar."""
        user = CrmUser.objects.create(company=Company.objects.create(url_id="acme"), unique_id="alice", email=ALICE)
        account = CalendarAccount.objects.create(
            company_id=user.company_id,
            user=user,
            provider=vendor.name,
            email=ALICE,
            identity=ALICE,
            credentials=vendor.stored,
            token_expires_at=timezone.now() + timedelta(days=365),
            connected=True,
            discovered_at=timezone.now(),
        )
        self.add_calendar(account, vendor)
        return account

    def add_calendar(self, account: CalendarAccount, vendor: Mirrored) -> None:
        origin = Origin.objects.create(user_id=account.user_id, source=vendor.name, name="work")
        Calendar.objects.create(account=account, origin=origin, external_id=vendor.calendar, name="work")

    def sync(self, account: CalendarAccount) -> Verdict:
        """As if it were the first attempt, and the list of calendars were fresh."""
        CalendarAccount.objects.filter(pk=account.pk).update(vendor_retry_at=None, discovered_at=timezone.now())
        return synced(account)

    def ledger(self) -> dict[str, tuple[str, str]]:
        """By event: its title, and when it begins."""
        rows = BusyBlock.objects.values_list("external_event_id", "title", "start_time")
        return {key: (title, f"{start.astimezone(UTC):%Y%m%dT%H%M%SZ}") for key, title, start in rows}

    def put(self, vendor: Mirrored, name: str, title: str, start: str = FIRST) -> tuple[str, str]:
        vendor.put(name, event(name, f"DTSTART:{start}", f"SUMMARY:{title}"))
        return title, start

    def test_ledger_follows_what_is_created_changed_moved_and_deleted(self, vendor: Mirrored) -> None:
        names = ("kept", "changed", "moved", "deleted")
        truth = {vendor_name: self.put(vendor, vendor_name, "Before") for vendor_name in names}
        account = self.account(vendor)
        verdict = self.sync(account)
        assert verdict.succeeded
        assert (verdict.changes.created, verdict.changes.updated, verdict.changes.deleted) == (4, 0, 0)
        assert self.ledger() == {vendor.id_of(name): said for name, said in truth.items()}
        gone = vendor.id_of("deleted")
        kept = BusyBlock.objects.get(external_event_id=vendor.id_of("kept"))

        truth["created"] = self.put(vendor, "created", "New")
        truth["changed"] = self.put(vendor, "changed", "After")
        truth["moved"] = self.put(vendor, "moved", "Before", SECOND)
        vendor.delete("deleted")
        del truth["deleted"]
        verdict = self.sync(account)
        assert verdict.succeeded
        assert (verdict.changes.created, verdict.changes.updated, verdict.changes.deleted) == (1, 2, 1)
        assert self.ledger() == {vendor.id_of(name): said for name, said in truth.items()}
        assert gone not in self.ledger()
        assert BusyBlock.objects.get(pk=kept.pk).updated_at == kept.updated_at

    def test_sync_without_changes_is_one_request_and_writes_no_row(self, vendor: Mirrored) -> None:
        for name in ("one", "two", "three"):
            self.put(vendor, name, "Same")
        account = self.account(vendor)
        self.sync(account)
        before = vendor.requests()
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert self.sync(account).succeeded
        assert vendor.requests() - before == 1
        written = [query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE", "COPY"))]
        assert written
        assert not [sql for sql in written if "busyblocks_" in sql or "calendars_withheldevent" in sql]

    def test_read_of_a_whole_calendar_waits_where_nobody_s_changes_wait_behind_it(self, vendor: Mirrored) -> None:
        self.put(vendor, "one", "Same")
        account = self.account(vendor)
        now = timezone.now()
        assert doors.large([account.pk], now=now) == {account.pk}, "it was never read"
        self.sync(account)
        assert doors.large([account.pk], now=now) == set(), "what changed is all that is asked for"
        in_spans = hasattr(vendor.provider, "is_stale")
        assert bool(doors.large([account.pk], now=now + timedelta(days=29))) is in_spans, "the window moves on"
        Calendar.objects.update(cursor="")
        assert doors.large([account.pk], now=now) == {account.pk}, "the cursor is gone"
        Calendar.objects.update(sync_enabled=False)
        assert doors.large([account.pk], now=now) == set(), "nobody wants it"

    def test_lost_cursor_is_one_full_read_that_loses_and_doubles_nothing(self, vendor: Mirrored) -> None:
        truth = {name: self.put(vendor, name, "Same") for name in ("one", "two", "three")}
        account = self.account(vendor)
        self.sync(account)
        before = dict(BusyBlock.objects.values_list("external_event_id", "pk"))
        vendor.lose_cursors()
        CalendarAccount.objects.update(credentials=vendor.stored)
        truth["four"] = self.put(vendor, "four", "New")
        assert self.sync(account).succeeded
        assert self.ledger() == {vendor.id_of(name): said for name, said in truth.items()}
        after = dict(BusyBlock.objects.values_list("external_event_id", "pk"))
        assert {key: after[key] for key in before} == before

    def test_nothing_that_goes_wrong_touches_the_ledger_and_the_next_sync_catches_up(self, vendor: Mirrored) -> None:
        """Row 20, for every provider."""
        account = self.account(vendor)
        truth = {name: self.put(vendor, name, "Zero") for name in ("one", "two", "three")}
        self.sync(account)
        for number, way in enumerate(faults.WAYS):
            before = self.ledger()
            truth = {name: self.put(vendor, name, f"After {number}") for name in truth}
            vendor.fail(way)
            verdict = self.sync(account)
            assert not verdict.succeeded, way
            assert self.ledger() == before, way
            vendor.recover()
            assert self.sync(account).succeeded, way
            assert self.ledger() == {vendor.id_of(name): said for name, said in truth.items()}, way

    def test_full_read_that_shows_nothing_is_believed_only_the_second_time(
        self, vendor: Mirrored, settings: LazySettings
    ) -> None:
        names = ("one", "two", "three")
        for name in names:
            self.put(vendor, name, "Still there?")
        account = self.account(vendor)
        self.sync(account)
        before = self.ledger()
        vendor.forget(*names)
        verdict = self.sync(account)
        assert (verdict.changes.deleted, verdict.changes.held) == (0, 3)
        assert self.ledger() == before
        BusyBlock.objects.update(absent_since=datetime.now(UTC) - settings.BRAKE_CONFIRM_AFTER)
        assert self.sync(account).changes.deleted == 3
        assert self.ledger() == {}

    def test_calendar_that_is_gone_keeps_its_rows_until_the_list_agrees(self, vendor: Mirrored) -> None:
        self.put(vendor, "one", "Same")
        account = self.account(vendor)
        self.sync(account)
        vendor.drop_calendar()
        verdict = self.sync(account)
        assert verdict.complaints or verdict.failure
        assert len(self.ledger()) == 1
        # What the vendor lists decides, and is asked for next.
        assert CalendarAccount.objects.get(pk=account.pk).discovered_at is None
