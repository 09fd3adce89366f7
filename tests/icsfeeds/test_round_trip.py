"""Our own feed, connected as somebody's calendar: over real HTTP, and to the same free/busy."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pytest_django.live_server_helper import LiveServer
from time_machine import travel

from busyblocks import freebusy
from busyblocks.models import BusyBlock
from calendars.models import CalendarAccount
from calendars.services import accounts, syncs
from icsfeeds import services
from icsfeeds.rows import COLUMNS, FeedRow
from icsfeeds.serializers import feed_url
from tenancy.models import CrmUser, bump_revision
from tests.calendars.mirror import titles
from tests.icsfeeds.ledger import row
from tests.interop.corpus import CORPUS

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SPAN = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC))
# How firmly, whether at all, and for whom to read.
FIRMNESS = [
    row(f"2026-09-{day:02}T09:00:00", uid=f"firm-{day}", title=f"firmness {day}", **values)
    for day, values in enumerate(
        [
            {"fbtype": "busy-tentative", "status": "tentative"},
            {"fbtype": "busy-tentative", "status": "confirmed"},
            {"fbtype": "busy-unavailable"},
            {"fbtype": "free", "transparency": "transparent"},
            {"fbtype": "free", "status": "cancelled"},
            {"fbtype": "free", "status": "confirmed"},
            {"classification": "private"},
            {"classification": "confidential", "fbtype": "busy-unavailable"},
            {"end": "2026-09-09T09:00:00"},
        ],
        start=1,
    )
]
ROWS = [*FIRMNESS, *(one for rows in CORPUS.values() for one in rows)]


@pytest.fixture
def served(live_server: LiveServer, settings) -> Iterator[None]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
    settings.PUBLIC_URL = live_server.url
    with travel(NOW, tick=True):
        yield


def written(user: CrmUser, rows: list[FeedRow]) -> None:
    """The rows in the user's ledger."""
    columns = [name for name in COLUMNS if name != "origin_id"]
    BusyBlock.objects.bulk_create(
        BusyBlock(
            company_id=user.company_id,
            user=user,
            recurring=bool(one.recurrence_rule or one.rdates),
            **{name: getattr(one, name) for name in columns},
        )
        for one in rows
    )
    bump_revision(user.pk, at=NOW)


def subscribed(user: CrmUser, url: str) -> CalendarAccount:
    return accounts.connect(user, provider="ics", email=user.email, provider_data={"url": url}, now=NOW)


def mirror(account: CalendarAccount) -> None:
    """Here the task runs where it is sent."""
    syncs.start_for_account(account)
    account.refresh_from_db()
    assert account.last_error_code == ""
    assert account.last_synced_at is not None


@pytest.mark.parametrize("detail", ["full", "busy"])
def test_a_feed_of_everything_is_mirrored_to_the_same_free_busy(served, alice, bob, detail):
    written(alice, ROWS)
    token = services.issue(alice, detail=detail, past_days=None, future_days=None)

    account = subscribed(bob, feed_url(token))
    mirror(account)

    assert freebusy.periods(bob, *SPAN) == freebusy.periods(alice, *SPAN)
    assert len(freebusy.periods(bob, *SPAN)) > 300
    shown = set(titles(account))
    assert shown <= {"Busy", "Free"} if detail == "busy" else "firmness 1" in shown
    # What has changed is mirrored too, and what has not is neither sent nor written.
    before = set(BusyBlock.objects.filter(user=bob).values_list("pk", "updated_at"))
    BusyBlock.objects.filter(user=alice, uid="firm-1").update(start_time=NOW, end_time=NOW + timedelta(hours=2))
    bump_revision(alice.pk, at=NOW)
    mirror(account)
    assert freebusy.periods(bob, *SPAN) == freebusy.periods(alice, *SPAN)
    assert len(before ^ set(BusyBlock.objects.filter(user=bob).values_list("pk", "updated_at"))) == 2


def test_the_free_busy_feed_is_read_in_one_snapshot_outside_of_any_transaction(served, client, alice):
    written(alice, FIRMNESS)
    token = services.issue(alice)

    answer = client.get(f"/calendars/acme/ics/{token.encrypted_token}.ifb")

    # Until 180 days ahead, 6 September.
    assert answer.content.count(b"FREEBUSY;FBTYPE=BUSY-") == 3
    assert "ETag" in answer
    # Nothing of it is left open: what comes next may write.
    bump_revision(alice.pk, at=NOW)
