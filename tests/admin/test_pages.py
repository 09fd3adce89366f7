"""What holds for every page of the admin: it opens, keeps secrets, escapes, stays on this host, and is not slow."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from busyblocks.models import Horizon, Occurrence, WorkingHours
from calendars.models import (
    Calendar,
    CalendarAccount,
    CalendarRun,
    Farewell,
    Meeting,
    MeetingParticipant,
    MeetingUid,
    PushChannel,
    SyncHour,
    SyncRun,
)
from config.admin import navigation
from icsfeeds.models import ICSToken, ReadHour
from tenancy.admin.scope import BoundedPaginator
from tenancy.models import ApiKey, Company
from tests.admin.world import (
    MONDAY,
    PASSWORD,
    REGISTERED,
    SECRETS,
    act,
    administrator,
    block,
    company,
    fill,
    list_of,
    operator,
    page_of,
)
from tests.calendars.mirror import mirrored_account

pytestmark = [pytest.mark.django_db, pytest.mark.once]

OURS = ("tenancy", "busyblocks", "calendars", "icsfeeds", "integrations")
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'`{{7*7}}"


def pages(client: Client) -> dict[str, str]:
    """Address → HTML of every page there is: lists, forms, deletion, history, for every row."""
    found = {path: _html(client, path) for path in ("/admin/", "/admin/password_change/")}
    for model in REGISTERED:
        model_admin = admin.site._registry[model]
        found[list_of(model)] = _html(client, list_of(model))
        add = list_of(model) + "add/"
        response = client.get(add)
        if response.status_code == 200:
            found[add] = response.content.decode()
        for row in model_admin.model._default_manager.all():
            for page in ("change", "history", "delete"):
                response = client.get(page_of(row, page))
                if not (page == "delete" and response.status_code == 403):
                    assert response.status_code == 200, page_of(row, page)
                    found[page_of(row, page)] = response.content.decode()
    accounts = act(client, "clear_the_brake", *CalendarAccount.objects.all())
    found["clear the brake"] = accounts.content.decode()
    chosen = act(client, "delete_selected", *CalendarAccount.objects.all())
    found["disconnect"] = chosen.content.decode()
    return found


def test_every_model_of_ours_has_a_page_or_a_place_on_one() -> None:
    models = {model for name in OURS for model in apps.get_app_config(name).get_models()}
    # What is derived from the ledger is looked at nowhere; working hours are the users' own, over the API.
    # What the hours brought stands on the first page, what a calendar brought on the page of the run.
    models -= {Horizon, Occurrence, WorkingHours, SyncHour, ReadHour, CalendarRun}
    assert models - set(REGISTERED) <= {MeetingParticipant, MeetingUid, PushChannel, Farewell, *_helpers(models)}


def test_no_page_shows_a_secret_or_loads_anything_from_another_host() -> None:
    fill(company("acme"), 1)
    key = ApiKey.issue(company("acme"))
    walked = {**pages(operator()), "login": _html(Client(), "/admin/login/")}
    for path, html in walked.items():
        for kind, secret in SECRETS.items():
            assert secret not in html, f"{kind} on {path}"
        assert key not in html, path
        for hidden in (ApiKey.digest_of(key), *ICSToken.objects.values_list("digest", flat=True)):
            assert hidden not in html, path
        for address in _resources(html):
            assert not urlsplit(address).netloc, f"{address} on {path}"


def test_every_text_is_escaped() -> None:
    fill(company("acme"), 1, mark=MARKUP)
    Company.objects.update(name=f"Acme{MARKUP}")
    Meeting.objects.create(
        company=company("acme"),
        user=fill(company("acme"), 1, mark=MARKUP),
        title=f"by hand{MARKUP}",
        description=MARKUP,
        start_time=MONDAY,
        end_time=MONDAY,
    )
    for client in (operator(), administrator(company("acme"))):
        walked = pages_that_open(client)
        for path, html in walked.items():
            assert "<script>alert" not in html, path
            assert "<img src=x" not in html, path
            for name, value in _attributes(html):
                assert not (name.startswith(("on", "x-", "@", ":")) and "alert(1)" in value), f"{name} on {path}"
        assert sum("alert(1)" in html for html in walked.values()) > 10, "the texts are there, as text"


def test_a_changed_row_is_escaped_in_its_history_and_its_message() -> None:
    account = mirrored_account()
    client = operator()
    response = client.post(page_of(account), {"name": MARKUP, "sync_enabled": "on"}, follow=True)
    assert response.status_code == 200
    CalendarAccount.objects.update(email=f"{MARKUP}@acme.example")
    for html in (response.content.decode(), _html(client, page_of(account, "history")), _html(client, "/admin/")):
        assert "<script>alert" not in html


def test_login_page_leads_in() -> None:
    operator()
    client = Client()
    response = client.post("/admin/login/?next=/admin/", {"username": "operator", "password": PASSWORD}, follow=True)
    assert response.status_code == 200
    assert "Calendar sync" in response.content.decode()
    assert response.redirect_chain == [("/admin/", 302)]


def test_wrong_password_stays_outside() -> None:
    operator()
    client = Client()
    response = client.post("/admin/login/", {"username": "operator", "password": "guessed"})
    assert response.status_code == 200
    assert client.get("/admin/").status_code == 302


def test_navigation_leads_to_every_list_that_the_staff_may_see() -> None:
    client = operator()
    request = client.get("/admin/").wsgi_request
    groups = {group["title"]: group["items"] for group in navigation(request)}
    assert list(groups) == ["Calendars", "Busy time", "Feeds", "Cal.com", "Companies and access"]
    pages = {list_of(model) for model in REGISTERED} | {reverse("admin:busyblocks_busyblock_schedule")}
    assert {item["link"] for items in groups.values() for item in items} == pages


def test_times_stand_with_their_zone() -> None:
    fill(company("acme"), 1)
    assert "2026-03-02 09:00 UTC" in _html(operator(), list_of(SyncRun))


def test_dates_of_an_all_day_block_stand_without_a_time() -> None:
    user = fill(company("acme"), 1)
    day = MONDAY.replace(hour=0)
    row = block(user, title="holiday", all_day=True, start_time=day, end_time=day.replace(day=3))
    html = _html(operator(), list_of(type(row)) + "?q=holiday")
    assert "2026-03-02" in html
    assert "2026-03-02 00:00" not in html


@pytest.mark.parametrize(("who", "hidden"), [("operator", set()), ("administrator", {"Group"})])
def test_queries_of_no_list_grow_with_its_rows(who: str, hidden: set[str]) -> None:
    acme = company("acme")
    client = operator() if who == "operator" else administrator(acme)
    assert {model.__name__ for model in REGISTERED if client.get(list_of(model)).status_code == 403} == hidden
    models = [model for model in REGISTERED if model.__name__ not in hidden]
    fill(acme, 3)
    few = {model: _queries(client, list_of(model)) for model in models}
    fill(acme, 9)
    for model in models:
        many = _queries(client, list_of(model))
        assert len(many) == len(few[model]), f"{model}\n" + "\n".join(many)
        assert len(many) <= 8, "\n".join(many)
        assert not [sql for sql in many if '"credentials"' in sql or '"encrypted_token"' in sql or '"secret"' in sql]


def test_big_table_is_not_counted_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedPaginator, "furthest", 3)
    fill(company("acme"), 3)
    client = operator()
    for model in REGISTERED:
        assert client.get(list_of(model)).context["cl"].result_count <= 3
        counts = [sql for sql in _queries(client, list_of(model)) if "COUNT(*)" in sql]
        assert counts, model
        assert all("LIMIT 3" in sql for sql in counts), counts


@pytest.mark.parametrize(("who", "statements"), [("operator", 21), ("administrator", 23)])
def test_queries_of_the_first_page_do_not_grow_with_what_is_wrong(who: str, statements: int) -> None:
    client = operator() if who == "operator" else administrator(company("acme"))
    fill(company("acme"), 3)
    assert len(_queries(client, "/admin/")) == statements
    fill(company("acme"), 6)
    assert len(_queries(client, "/admin/")) == statements


def test_queries_of_a_run_do_not_grow_with_its_accounts() -> None:
    client = operator()
    fill(company("acme"), 3)
    run = SyncRun.objects.order_by("pk").first()
    assert run is not None
    few = len(_queries(client, page_of(run)))
    fill(company("acme"), 9)
    for account in CalendarAccount.objects.exclude(account_runs__run=run):
        run.account_runs.create(account=account)
    assert len(_queries(client, page_of(run))) == few


def test_queries_of_an_account_do_not_grow_with_its_calendars() -> None:
    client = operator()
    fill(company("acme"), 3)
    account = CalendarAccount.objects.order_by("pk").first()
    assert account is not None
    few = len(_queries(client, page_of(account)))
    for calendar in Calendar.objects.all():
        Calendar.objects.filter(pk=calendar.pk).update(account=account, external_id=str(calendar.pk))
    assert len(_queries(client, page_of(account))) == few


def pages_that_open(client: Client) -> dict[str, str]:
    """As `pages`, of whatever this client may open."""
    found = {"/admin/": _html(client, "/admin/")}
    for model in REGISTERED:
        paths = [list_of(model), list_of(model) + "?q=alert"]
        for row in model._default_manager.all():
            paths += [page_of(row, page) for page in ("change", "history", "delete")]
        for path in paths:
            response = client.get(path)
            if response.status_code == 200:
                found[path] = response.content.decode()
    found["clear the brake"] = act(client, "clear_the_brake", *CalendarAccount.objects.all()).content.decode()
    return found


class _Attributes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, name, value or "") for name, value in attrs]


def _attributes(html: str) -> list[tuple[str, str]]:
    parser = _Attributes()
    parser.feed(html)
    return [(name, value) for _, name, value in parser.found]


def _resources(html: str) -> list[str]:
    """Addresses that a browser loads by itself, or posts to."""
    parser = _Attributes()
    parser.feed(html)
    loading = {"src", "srcset", "data", "poster", "action", "formaction", "hx-get", "hx-post"}
    found = [value for tag, name, value in parser.found if name in loading or (tag == "link" and name == "href")]
    return found + re.findall(r"url\(\s*['\"]?(https?://[^)'\"]+|//[^)'\"]+)", html)


def _html(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200, path
    return response.content.decode()


def _queries(client: Client, path: str) -> list[str]:
    """The statements of a second visit: the first also fills what the process remembers (content types)."""
    client.get(path)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(path).status_code == 200
    return [query["sql"] for query in captured.captured_queries]


def _helpers(models: set[type[Model]]) -> set[type[Model]]:
    """Models that hold a request between two of its steps: nobody looks at them."""
    return {model for model in models if model.__name__ == "OAuthState"}
