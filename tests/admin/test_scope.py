"""Nobody's administrator sees a row of another company, whichever door they try."""

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client, RequestFactory

from busyblocks.models import BusyBlock, Origin
from calendars.models import Absence, AccountRun, Calendar, CalendarAccount, Meeting, SyncRun, WithheldEvent
from icsfeeds.models import ICSToken
from integrations.models import CalcomConnection, CalcomSecret, DeliveryState, RefusedDeliveries, WebhookDelivery
from tenancy.admin.scope import CompanyScopedAdmin
from tenancy.models import ApiKey, AuditEntry, Company, CrmUser, Staff
from tests.admin.world import (
    PASSWORD,
    REGISTERED,
    act,
    administrator,
    company,
    fill,
    list_of,
    operator,
    page_of,
)

pytestmark = [pytest.mark.django_db, pytest.mark.once]

# Every model that belongs to a company; a test below says that these are all.
OWNED = [
    Absence,
    AccountRun,
    ApiKey,
    AuditEntry,
    BusyBlock,
    CalcomConnection,
    CalcomSecret,
    Calendar,
    CalendarAccount,
    Company,
    CrmUser,
    ICSToken,
    Meeting,
    Origin,
    RefusedDeliveries,
    Staff,
    SyncRun,
    WebhookDelivery,
    WithheldEvent,
]


@pytest.fixture
def mallorys() -> Client:
    """globex's administrator, who has rows of every kind at home while acme has as many."""
    fill(company("acme"), 2)
    fill(company("globex"), 1)
    return administrator(company("globex"))


def test_every_page_of_the_admin_stands_on_the_company_scope() -> None:
    unscoped = [model for model in REGISTERED if not isinstance(admin.site._registry[model], CompanyScopedAdmin)]
    assert unscoped == []


def test_what_has_no_company_is_for_superusers() -> None:
    assert {model._meta.label for model in REGISTERED} - {model._meta.label for model in OWNED} == {"auth.Group"}


def test_list_shows_the_own_company_only(mallorys: Client) -> None:
    for model in OWNED:
        response = mallorys.get(list_of(model))
        assert response.status_code == 200, model
        assert "acme" not in response.content.decode().lower(), model
        assert response.context["cl"].result_list.count() >= 1, f"the own rows are there: {model}"


def test_search_finds_the_own_company_only(mallorys: Client) -> None:
    for model in OWNED:
        found = mallorys.get(list_of(model), {"q": "acme"}).context["cl"].result_list
        assert list(found) == [], model


@pytest.mark.parametrize("page", ["change", "delete", "history"])
def test_another_companys_row_has_no_page(mallorys: Client, page: str) -> None:
    for model in OWNED:
        row = _acmes(model)
        response = mallorys.get(page_of(row, page), follow=True)
        # 403 where nobody may delete such rows, whoever's they are.
        assert response.redirect_chain == [("/admin/", 302)] or response.status_code == 403, model
        assert "acme" not in response.content.decode().lower(), model


def test_posting_to_another_companys_row_changes_nothing(mallorys: Client) -> None:
    for model in OWNED:
        row = _acmes(model)
        before = model._default_manager.filter(pk=row.pk).values().get()
        for page in ("change", "delete"):
            response = mallorys.post(page_of(row, page), {"post": "yes", "label": "taken", "name": "taken"})
            assert response.status_code in {302, 403}, model
        assert model._default_manager.filter(pk=row.pk).values().get() == before, model


@pytest.mark.parametrize("model", OWNED)
def test_no_action_reaches_another_companys_row(mallorys: Client, model: type[Model]) -> None:
    request = RequestFactory().get("/")
    request.user = Staff.objects.create_superuser("everything", "", PASSWORD)
    row, counts = _acmes(model), _counts()
    before = model._default_manager.filter(pk=row.pk).values().get()
    for name in admin.site._registry[model].get_actions(request):
        act(mallorys, name, row, post="yes")
    assert model._default_manager.filter(pk=row.pk).values().get() == before
    assert _counts() == counts


def test_replaying_everything_replays_the_own_company_only(mallorys: Client) -> None:
    act(mallorys, "replay", WebhookDelivery.objects.get(company__url_id="globex"), select_across="1")
    failed = WebhookDelivery.objects.filter(company__url_id="acme", state=DeliveryState.FAILED, attempts=0)
    assert failed.count() == 2


@pytest.mark.parametrize(
    ("app", "model", "field"),
    [
        ("busyblocks", "busyblock", "user"),
        ("calendars", "meeting", "user"),
        ("icsfeeds", "icstoken", "user"),
        ("tenancy", "apikey", "company"),
        ("tenancy", "crmuser", "company"),
        ("integrations", "calcomsecret", "company"),
    ],
)
def test_autocomplete_offers_the_own_company_only(mallorys: Client, app: str, model: str, field: str) -> None:
    asked = {"app_label": app, "model_name": model, "field_name": field, "term": ""}
    offered = [row["text"].lower() for row in mallorys.get("/admin/autocomplete/", asked).json()["results"]]
    assert offered
    assert all(text.startswith("globex") for text in offered)


@pytest.mark.parametrize("model", [BusyBlock, Meeting, ICSToken])
def test_filter_by_another_companys_user_does_not_tell_the_name(mallorys: Client, model: type[Model]) -> None:
    alice = _acmes(CrmUser)
    response = mallorys.get(list_of(model), {"user__id__exact": alice.pk})
    assert "acme" not in response.content.decode().lower()


@pytest.mark.parametrize(
    ("app", "model", "values"),
    [
        ("icsfeeds", "icstoken", {"label": "mine now"}),
        (
            "busyblocks",
            "busyblock",
            {
                "title": "mine now",
                "start_time_0": "2026-03-02",
                "start_time_1": "09:00:00",
                "end_time_0": "2026-03-02",
                "end_time_1": "10:00:00",
                "time_zone": "UTC",
                "transparency": "opaque",
                "status": "confirmed",
            },
        ),
    ],
)
def test_nothing_can_be_made_for_another_companys_user(
    mallorys: Client, app: str, model: str, values: dict[str, str]
) -> None:
    response = mallorys.post(f"/admin/{app}/{model}/add/", {**values, "user": str(_acmes(CrmUser).pk)})
    assert response.status_code == 200
    assert "user" in response.context["adminform"].form.errors


@pytest.mark.parametrize(
    ("app", "model", "values"),
    [
        ("tenancy", "apikey", {"label": "mine now"}),
        ("integrations", "calcomsecret", {"secret": "mine now"}),
        ("tenancy", "crmuser", {"unique_id": "mine now"}),
    ],
)
def test_nothing_can_be_made_for_another_company(
    mallorys: Client, app: str, model: str, values: dict[str, str]
) -> None:
    response = mallorys.post(f"/admin/{app}/{model}/add/", {**values, "company": str(company("acme").pk)})
    assert response.status_code == 200
    assert set(response.context["adminform"].form.errors) == {"company"}


def test_superuser_sees_every_company() -> None:
    fill(company("acme"), 1)
    fill(company("globex"), 1)
    client = operator()
    for model in OWNED:
        html = client.get(list_of(model)).content.decode().lower()
        assert "acme" in html, model
        assert "globex" in html, model


def test_staff_without_a_company_see_nothing() -> None:
    fill(company("acme"), 1)
    client = administrator(company("acme"))
    Staff.objects.filter(username="admin-of-acme").update(company=None)
    for model in OWNED:
        assert client.get(list_of(model)).status_code == 403, model


def test_staff_without_permission_see_nothing() -> None:
    client = administrator(company("acme"))
    Staff.objects.get(username="admin-of-acme").groups.clear()
    assert client.get(list_of(BusyBlock)).status_code == 403


def _acmes(model: type[Model]) -> Model:
    path = admin.site._registry[model].company_lookup
    row = model._default_manager.filter(**{path: company("acme").pk}).first()
    assert row is not None
    return row


def _counts() -> dict[str, int]:
    return {model.__name__: model._default_manager.count() for model in OWNED}
