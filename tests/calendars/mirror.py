"""A mirrored account of alice at acme, and what its mirror holds."""

from datetime import UTC, datetime

from django.utils import timezone

from busyblocks.models import BusyBlock
from calendars.models import CalendarAccount, SyncRun
from calendars.services import syncs
from calendars.sync import engine
from calendars.sync.engine import Verdict
from tenancy.models import Company, CrmUser

MEMORY = {"caldav": "tests.contracts.memory.MemoryProvider"}
MONDAY = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


def mirrored_account(
    *, url_id: str = "acme", user: str = "alice", email: str = "alice@acme.example"
) -> CalendarAccount:
    company, _ = Company.objects.get_or_create(url_id=url_id)
    owner, _ = CrmUser.objects.get_or_create(company=company, unique_id=user)
    return CalendarAccount.objects.create(
        company=company,
        user=owner,
        provider="caldav",
        email=email,
        identity=email,
        credentials={"username": email, "password": "secret"},
        connected=True,
        next_attempt_at=timezone.now(),
    )


def synced(account: CalendarAccount) -> Verdict:
    """Ask for a sync the way the API does, without a broker, and do it here."""
    syncs.start_for_account(account)
    verdict = engine.sync_account(account.pk)
    assert verdict is not None
    return verdict


def ledger(account: CalendarAccount) -> dict[str, str]:
    """Event id → etag of what the mirror holds."""
    rows = BusyBlock.objects.filter(origin__calendar__account=account)
    return dict(rows.values_list("external_event_id", "etag"))


def titles(account: CalendarAccount) -> list[str]:
    rows = BusyBlock.objects.filter(origin__calendar__account=account)
    return list(rows.order_by("start_time", "pk").values_list("title", flat=True))


def last_run(account: CalendarAccount) -> SyncRun:
    run = syncs.with_totals(SyncRun.objects.filter(account_runs__account=account)).order_by("-pk").first()
    assert run is not None
    return run
