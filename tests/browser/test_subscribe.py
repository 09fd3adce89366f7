"""The subscribe page: a feed in the programs of whoever holds the link, and a new address that kills the old one."""

import pytest
from playwright.sync_api import Page, expect

from icsfeeds import services
from icsfeeds.serializers import feed_url
from tenancy.models import CrmUser
from tests.browser.pages import subscribe_page
from tests.browser.watch import accessible, steady

pytestmark = pytest.mark.django_db(transaction=True)


def test_person_makes_a_feed_changes_what_it_shows_and_kills_the_old_address(page: Page, alice: CrmUser):
    page.goto(subscribe_page(alice))
    accessible(page)
    page.get_by_label("Name").fill("Phone")
    page.get_by_role("button", name="Make it").click()
    accessible(page)
    steady(page)
    address = page.get_by_label("Address, for every other program").input_value()
    apple = page.get_by_role("link", name="Apple Calendar").get_attribute("href")
    assert apple == address.replace("http://", "webcal://")
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    assert page.request.get(address).status == 200

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == address

    page.get_by_label("Busy only").check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_label("Busy only")).to_be_checked()
    assert alice.ics_tokens.get().detail == "busy"

    page.get_by_role("link", name="New address").click()
    accessible(page)
    page.get_by_role("button", name="New address").click()
    expect(page.get_by_role("status").first).to_contain_text("The old one is dead")
    new = page.get_by_label("Address, for every other program").input_value()
    assert (page.request.get(address).status, page.request.get(new).status) == (404, 200)


def test_link_of_one_feed_shows_that_feed_and_leads_nowhere_else(page: Page, alice: CrmUser):
    mine = services.issue(alice, label="Mine")
    services.issue(alice, label="Other")
    page.goto(subscribe_page(alice, feed=mine.unique_id))
    expect(page.get_by_role("heading", level=1)).to_have_text("Mine")
    expect(page.get_by_role("navigation")).to_have_count(0)
    expect(page.get_by_label("Address, for every other program")).to_have_value(feed_url(mine))
