"""The connect page, as somebody without a login sees it: from an empty page to calendars that are mirrored."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django import Settings

from busyblocks.models import BusyBlock
from calendars.models import CalendarAccount
from calendars.services import accounts, syncs
from tenancy.models import CrmUser
from tests.browser.pages import connect_page
from tests.browser.watch import Watch, accessible, steady
from tests.contracts.contract import ALICE
from tests.integrations.google import where as google_settings
from tests.integrations.outlook import where as graph_settings
from tests.servers import Radicale, radicale
from tests.simulators.google import GoogleSimulator, timed
from tests.simulators.graph import GraphSimulator

BERLIN = ZoneInfo("Europe/Berlin")
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}

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


@pytest.fixture
def google(settings: Settings, watch: Watch) -> Iterator[GoogleSimulator]:
    with GoogleSimulator() as simulated:
        for name, value in google_settings(simulated).items():
            setattr(settings, name, value)
        simulated.add_account(ALICE)
        noon = timezone.now().strftime("%Y-%m-%dT12:00")
        simulated.put(ALICE, "lunch", timed(noon, summary="Lunch"))
        watch.others.add(urlsplit(simulated.url).netloc)
        yield simulated


@pytest.fixture
def graph(settings: Settings, watch: Watch) -> Iterator[GraphSimulator]:
    with GraphSimulator() as simulated:
        for name, value in graph_settings(simulated).items():
            setattr(settings, name, value)
        simulated.alice.add_calendar("Calendar")
        watch.others.add(urlsplit(simulated.url).netloc)
        yield simulated


def test_person_connects_google_and_comes_back_to_the_page(page: Page, alice: CrmUser, google: GoogleSimulator):
    page.goto(connect_page(alice))
    page.get_by_role("link", name="Google").click()
    page.get_by_role("button", name="Continue to Google").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("alert")).to_contain_text("Access was not granted")
    expect(page.get_by_text("Not finished")).to_be_visible()

    page.get_by_role("link", name="Connect again").click()
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_role("status")).to_contain_text("Connected.")
    expect(page.get_by_label(ALICE, exact=True)).to_be_checked()
    assert [row.title for row in BusyBlock.objects.filter(user=alice)] == ["Lunch"]


def test_person_connects_outlook_and_comes_back_to_the_page(page: Page, alice: CrmUser, graph: GraphSimulator):
    page.goto(connect_page(alice))
    page.get_by_role("link", name="Outlook").click()
    page.get_by_role("button", name="Continue to Outlook").click()
    page.get_by_role("button", name=ALICE).click()
    expect(page.get_by_role("status")).to_contain_text("Connected.")
    expect(page.get_by_label("Calendar", exact=True)).to_be_checked()


def test_everything_works_without_a_script(tab: Callable[..., Page], alice: CrmUser, server: Radicale):
    page = tab(java_script_enabled=False)
    page.goto(connect_page(alice))
    page.get_by_role("link", name="Another calendar").click()
    fill_in(page, server, server.password)
    page.get_by_label("Home").uncheck()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Home")).not_to_be_checked()
    page.get_by_role("link", name="Disconnect").click()
    page.get_by_role("button", name="Disconnect").click()
    assert not CalendarAccount.objects.exists()

    page.get_by_role("link", name="Subscribe").click()
    page.get_by_label("Name").fill("Phone")
    page.get_by_label("Busy only").check()
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Phone")
    expect(page.get_by_label("Busy only")).to_be_checked()
    expect(page.get_by_role("button", name="Copy")).to_be_hidden()


def test_page_is_readable_on_a_phone_in_the_dark_in_german(tab: Callable[..., Page], alice: CrmUser, server: Radicale):
    data = server.credentials
    account = accounts.connect(alice, provider="caldav", email=ALICE, provider_data=data, now=timezone.now())
    syncs.start_for_account(account)
    page = tab(**PHONE, color_scheme="dark", locale="de-DE")
    page.goto(connect_page(alice))
    expect(page.get_by_role("heading", level=1)).to_have_text("Kalender von alice")
    # As it is written in Germany, in the browser's own zone.
    expect(page.get_by_text("Zuletzt gelesen")).to_contain_text(f"{timezone.now().astimezone(BERLIN):%d.%m.%Y}")
    accessible(page)
    steady(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["viewport"]["width"]


def test_page_is_used_by_the_keyboard_alone(page: Page, alice: CrmUser):
    page.goto(connect_page(alice))
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    # The first of the tiles that this service offers.
    expect(page.get_by_role("link", name="Apple")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Connect Apple")
