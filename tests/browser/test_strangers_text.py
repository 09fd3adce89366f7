"""What strangers write (titles, names, payloads, calendars' names) is text on every page, whatever it looks like."""

import pytest
from playwright.sync_api import Page, expect

from calendars.models import CalendarAccount
from icsfeeds import services
from tenancy.models import Company, CrmUser
from tests.admin.world import REGISTERED, company, fill, list_of, page_of
from tests.browser.pages import connect_page, sign_in, subscribe_page

pytestmark = pytest.mark.django_db(transaction=True)

# Each would run in another place: as an element, in an attribute, in a script, in an Alpine or Vue expression, as an
# address, in a style. Had any of them run, it would have left its mark.
CORPUS = (
    "<script>window.ran=1</script>",
    "<img src=x onerror=window.ran=1>",
    '"><svg onload=window.ran=1>',
    "' onmouseover='window.ran=1' x='",
    "</title></textarea></style></script><b id=ran>",
    "{{constructor.constructor('window.ran=1')()}}${window.ran=1}",
    "javascript:window.ran=1",
    "&lt;b&gt;&#60;i&#62;",
    "<div x-data x-init='window.ran=1' hx-get=/ran hx-trigger=load>",
    "';window.ran=1;//\\u003cb\\u003e",
)
# Rows that only staff write; their pages are held to the same without a browser (tests/admin/test_pages.py).
_OURS = {"ApiKey", "CalcomConnection", "CalcomSecret", "Group", "Origin", "RefusedDeliveries", "Staff", "SyncRun"}
_RAN = "() => window.ran === 1 || !!document.querySelector('#ran, [x-init^=window], [hx-get=\"/ran\"], img[src=x]')"


def ran(page: Page) -> bool:
    """Whether any of the corpus became more than text."""
    found: bool = page.evaluate(_RAN)
    return found


def test_administrators_pages_show_it_as_text(page: Page, site: str):
    text = "".join(CORPUS)
    user = fill(company("acme"), 1, mark=text)
    Company.objects.update(name=f"Acme{text}"[:255])
    sign_in(page, site)
    paths = ["/admin/", f"/admin/busyblocks/busyblock/schedule/?user={user.pk}&date=2026-03-02"]
    for model in REGISTERED:
        if model.__name__ in _OURS:
            continue
        paths.append(list_of(model))
        row = model._default_manager.order_by("pk").last()
        if row is not None:
            paths.append(page_of(row))
    for path in paths:
        page.goto(path, wait_until="domcontentloaded")
        assert not ran(page), path
    page.goto(list_of(CrmUser))
    expect(page.get_by_text("<script>window.ran=1</script>").first).to_be_visible()


def test_users_pages_show_it_as_text(page: Page, acme: Company):
    text = "".join(CORPUS)
    user = fill(company("acme"), 1, mark=text)
    token = services.issue(user, label=text[:255])
    Company.objects.update(name=f"Acme{text}"[:255])
    CalendarAccount.objects.update(email="<script>window.ran=1</script>@example.org")
    link = connect_page(user).removeprefix("/connect/")
    account = user.calendar_accounts.get()
    for path in (
        f"/connect/{link}",
        f"/connect/{link}/new/caldav",
        f"/connect/{link}/accounts/{account.unique_id}/again",
        f"/connect/{link}/accounts/{account.unique_id}/disconnect",
        f"/subscribe/{link}",
        f"/subscribe/{link}/{token.unique_id}",
        f"/subscribe/{link}/{token.unique_id}/rotate",
        f"{subscribe_page(user)}?told={text}",
    ):
        page.goto(path)
        assert not ran(page), path
    page.goto(f"/connect/{link}")
    expect(page.get_by_text("<img src=x onerror=window.ran=1>").first).to_be_visible()
