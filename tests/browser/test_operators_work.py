"""What administrators do in a browser: watch a run, clear a brake, replay a delivery, assign a booking."""

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from busyblocks.models import BusyBlock, Origin
from calendars.models import Calendar, CalendarAccount, Meeting
from calendars.services import syncs
from calendars.sync import engine
from integrations import deliveries
from integrations.models import WebhookDelivery
from tenancy.models import CrmUser
from tests.admin.world import company, list_of, page_of
from tests.browser.pages import sign_in
from tests.browser.watch import accessible
from tests.busyblocks.rows import timed, write
from tests.calendars.mirror import MEMORY, mirrored_account
from tests.contracts import memory
from tests.integrations.calcom import compact, sample

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def nobody_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages to workers go nowhere: the test is the worker."""
    monkeypatch.setattr(syncs, "ring", lambda *args, queue: None)
    monkeypatch.setattr(deliveries, "ring", lambda *args, queue: None)


@pytest.fixture
def signed_in(page: Page, site: str) -> Page:
    sign_in(page, site)
    return page


def test_run_is_watched_to_its_end(signed_in: Page, settings, nobody_works: None):
    settings.CALENDAR_PROVIDERS = MEMORY
    server = memory.start()
    server.put("work", "event", memory.entry("2026-03-02T09:00"))
    server.put_unreadable("work", "odd", "Its rule is no rule.")
    account = mirrored_account()
    page = signed_in
    page.goto(page_of(account))
    page.get_by_role("button", name="Sync now").click()
    expect(page.get_by_role("status")).to_have_text("Waits for a worker")
    accessible(page)
    engine.sync_account(account.pk)
    # Nobody reloads: the page asks.
    expect(page.get_by_role("status")).to_have_text("Finished")
    expect(page.get_by_text("1 of 1 accounts · 1 event changed (+1 ~0 −0) · 1 withheld")).to_be_visible()
    page.get_by_text("Why 1 withheld").click()
    expect(page.get_by_text("Its rule is no rule.")).to_be_visible()


def test_brake_is_cleared_after_a_look_at_what_goes(signed_in: Page):
    account = mirrored_account()
    origin = Origin.objects.create(user=account.user, source="caldav", name="Work")
    Calendar.objects.create(account=account, origin=origin, external_id="work", name="Work", held_count=1)
    write(account.user, timed("2026-03-02 09:00", uid="kept", title="Still there"), origin=origin)
    write(account.user, timed("2026-03-03 09:00", uid="held", title="Standup of old"), origin=origin)
    BusyBlock.objects.filter(uid="held").update(absent_since=timezone.now())
    page = signed_in
    page.goto("/admin/")
    page.get_by_role("button", name="See what would go").click()
    expect(page.get_by_text("Standup of old")).to_be_visible()
    expect(page.get_by_text("Still there")).to_have_count(0)
    accessible(page)
    page.get_by_role("button", name="Yes, delete these 1").click()
    expect(page.get_by_text("Held rows deleted: 1.")).to_be_visible()
    assert list(BusyBlock.objects.values_list("uid", flat=True)) == ["kept"]


def test_delivery_is_replayed_and_its_booking_assigned(signed_in: Page, nobody_works: None):
    acme = company("acme")
    carol = CrmUser.objects.create(company=acme, unique_id="carol", name="Carol Host")
    delivery = deliveries.receive(
        acme.pk, compact(sample("booking_created")), content_type="", signed=True, now=timezone.now()
    )
    WebhookDelivery.objects.update(state="failed", error="Handling it broke.")
    page = signed_in
    page.goto("/admin/")
    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_text("Deliveries to be handled again: 1.")).to_be_visible()
    deliveries.work_off(delivery.pk, now=timezone.now())
    page.goto(page_of(delivery))
    expect(page.get_by_text("Handled", exact=True)).to_be_visible()
    accessible(page)
    # Its host is nobody whom the company knows.
    meeting = Meeting.objects.get()
    assert meeting.user is None
    page.locator("a", has_text=str(meeting)).click()
    page.wait_for_url(f"**{page_of(meeting)}")
    page.locator(".field-user .select2-selection").click()
    page.get_by_role("searchbox").last.fill("Carol")
    page.get_by_role("option", name="Carol Host").click()
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url(f"**{list_of(Meeting)}")
    meeting.refresh_from_db()
    assert meeting.user == carol
    assert BusyBlock.objects.get(user=carol).title == meeting.title


def test_first_page_is_readable_in_the_dark_and_on_a_phone(tab: Callable[..., Page], site: str):
    mirrored_account()
    CalendarAccount.objects.update(last_error_code="unreachable", last_error="The server does not answer.")
    page = tab(color_scheme="dark", viewport={"width": 390, "height": 844})
    sign_in(page, site)
    page.goto("/admin/")
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
    accessible(page)
