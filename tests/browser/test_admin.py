"""The first minutes of an administrator."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tenancy.models import Staff
from tests.admin.world import PASSWORD, page_of
from tests.browser.pages import sign_in
from tests.browser.watch import accessible


def test_administrator_signs_in_and_sees_that_nothing_needs_them(page: Page):
    Staff.objects.create_superuser("operator", "operator@example.org", PASSWORD)
    page.goto("/admin/")
    accessible(page)
    page.get_by_label("Username").fill("operator")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Nothing needs a person now.")).to_be_visible()


def test_admin_is_readable_in_the_dark_and_on_a_phone(tab: Callable[..., Page], site: str):
    page = tab(color_scheme="dark", viewport={"width": 390, "height": 800})
    sign_in(page, site)
    for path in ("/admin/", page_of(Staff.objects.get())):
        page.goto(path)
        accessible(page)
