"""The connect page, as somebody without a login sees it: from an empty page to calendars that are mirrored."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from busyblocks.models import BusyBlock
from calendars.models import CalendarAccount
from tenancy.models import CrmUser
from tests.browser.pages import connect_page
from tests.browser.watch import accessible
from tests.servers import Radicale, radicale

EVENT = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//test//EN\r\nBEGIN:VEVENT\r\nUID:1@test\r\nDTSTAMP:20260301T120000Z\r\n"
    "DTSTART:20260302T090000Z\r\nDTEND:20260302T100000Z\r\nSUMMARY:Standup\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.fixture(scope="module")
def server() -> Iterator[Radicale]:
    with radicale() as running:
        running.make_calendar("work", title="Work")
        running.make_calendar("home", title="Home")
        running.put_events("work", {"standup": EVENT})
        yield running


@pytest.fixture(autouse=True)
def _loopback(settings: Settings) -> None:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]


def fill_in(page: Page, server: Radicale, password: str) -> None:
    page.get_by_label("Server address").fill(server.url)
    page.get_by_label("User name").fill(server.username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Connect").click()


def test_person_connects_caldav_chooses_calendars_and_disconnects(page: Page, alice: CrmUser, server: Radicale):
    page.goto(connect_page(alice))
    expect(page.get_by_role("heading", level=1)).to_have_text("Calendars of alice")
    accessible(page)
    page.get_by_role("link", name="Another calendar").click()
    accessible(page)

    # A wrong password stands beside its field, and nothing is stored.
    fill_in(page, server, "wrong")
    field = page.get_by_label("Password")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#id_password_error")).to_contain_text("does not accept this user name and password")
    expect(page.get_by_label("User name")).to_have_value("alice")
    accessible(page)
    assert not CalendarAccount.objects.exists()

    fill_in(page, server, server.password)
    expect(page.get_by_role("status")).to_contain_text("Connected.")
    expect(page.get_by_text("Up to date", exact=True)).to_be_visible()
    assert [row.title for row in BusyBlock.objects.filter(user=alice)] == ["Standup"]
    accessible(page)

    page.get_by_label("Work").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    expect(page.get_by_label("Work")).not_to_be_checked()
    expect(page.get_by_label("Home")).to_be_checked()
    assert not BusyBlock.objects.exists()

    page.get_by_role("link", name="Disconnect alice@acme.example").click()
    accessible(page)
    page.get_by_role("button", name="Disconnect").click()
    expect(page.get_by_role("status")).to_contain_text("Disconnected")
    expect(page.get_by_role("heading", name="Where is your calendar?")).to_be_visible()
    assert not CalendarAccount.objects.exists()
