"""The schedule page, as a member of staff reads it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from busyblocks.models import Origin
from tenancy.models import Company, CrmUser
from tests.browser.pages import sign_in
from tests.browser.watch import accessible
from tests.busyblocks.rows import days, timed, write

pytestmark = pytest.mark.django_db(transaction=True)
SCHEDULE = "/admin/busyblocks/busyblock/schedule/"
# On Sunday the 29th Berlin's clocks go forward; New York's have long.
THE_WEEK = "date=2026-03-25"


@pytest.fixture
def alice(acme: Company) -> CrmUser:
    alice = CrmUser.objects.create(company=acme, unique_id="alice", name="Alice", time_zone="Europe/Berlin")
    work = Origin.objects.create(user=alice, source="google", name="Work")
    standup = timed("2026-03-23 09:00", 30, tz="Europe/Berlin", uid="standup", rule="FREQ=WEEKLY;BYDAY=MO,WE")
    write(alice, standup, timed("2026-03-26 14:00", uid="call", title="Call", fbtype="busy-tentative"), origin=work)
    write(alice, days("2026-03-27", uid="away", title="Away", fbtype="busy-unavailable"))
    return alice


@pytest.fixture
def bob(acme: Company) -> CrmUser:
    bob = CrmUser.objects.create(company=acme, unique_id="bob", name="Bob", time_zone="America/New_York")
    write(bob, timed("2026-03-25 09:30", 90, uid="fit", title="Fitting"))
    return bob


@pytest.fixture
def signed_in(page: Page, site: str, acme: Company) -> Page:
    sign_in(page, site)
    return page


def test_week_is_drawn_in_the_zone_chosen_and_leads_to_the_row(signed_in: Page, alice: CrmUser):
    page = signed_in
    page.goto(f"{SCHEDULE}?user={alice.pk}&{THE_WEEK}")
    call = page.locator(".ec-event", has_text="Call")
    expect(call).to_contain_text("15:00")
    expect(page.locator(".ec-event", has_text="(no title)")).to_have_count(2)
    expect(page.locator(".schedule-legend")).to_contain_text("Work")
    accessible(page)

    page.goto(f"{SCHEDULE}?user={alice.pk}&{THE_WEEK}&time_zone=America/New_York")
    expect(call).to_contain_text("10:00")
    # The views are buttons, and each can be left on the address for a colleague.
    page.get_by_role("button", name="Agenda").click()
    expect(page).to_have_url(re.compile("view=listWeek"))
    expect(call).to_contain_text("10:00")
    accessible(page)
    page.get_by_role("button", name="Month").click()
    expect(page.locator(".ec-event", has_text="Away")).to_be_visible()
    accessible(page)
    call.click()
    expect(page).to_have_url(re.compile(r"/admin/busyblocks/busyblock/\d+/change/"))


def test_several_users_stand_side_by_side_by_their_free_busy(signed_in: Page, alice: CrmUser, bob: CrmUser):
    page = signed_in
    page.goto(f"{SCHEDULE}?user={alice.pk}&user={bob.pk}&{THE_WEEK}&time_zone=UTC")
    expect(page.locator(".ec-event.counts-busy")).to_have_count(2)
    expect(page.locator("#schedule")).to_contain_text("Alice")
    expect(page.locator("#schedule")).to_contain_text("Bob")
    expect(page.locator("#schedule")).not_to_contain_text("Fitting")
    accessible(page)


def test_schedule_is_readable_in_the_dark_and_on_a_phone(tab: Callable[..., Page], site: str, alice: CrmUser):
    page = tab(color_scheme="dark", viewport={"width": 390, "height": 844})
    sign_in(page, site)
    page.goto(f"{SCHEDULE}?user={alice.pk}&{THE_WEEK}")
    # A phone has room for the agenda.
    expect(page.locator(".ec-list .ec-event", has_text="Call")).to_be_visible()
    accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
