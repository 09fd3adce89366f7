"""Links that staff hand over: to one user's pages, or to one feed, and only of their own company."""

import re

import pytest
from django.db.models import Model
from django.test import Client

from icsfeeds.models import ICSToken
from tenancy.models import AuditEntry, CrmUser
from tests.admin.world import act, administrator, company, fill, messages_of, page_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("model", "action", "shown"), [(CrmUser, "connect_link", "Calendars of"), (ICSToken, "subscribe_link", "acme feed")]
)
def test_link_that_is_handed_over_opens_the_page(client: Client, model: type[Model], action: str, shown: str):
    fill(company("acme"), 1)
    staff = administrator(company("acme"))
    row = model._default_manager.get()
    assert f'value="{action}"' in staff.get(page_of(row)).text
    response = act(staff, action, row)
    (url,) = set(re.findall(r'href="http://testserver(/(?:connect|subscribe)/[^"]+)"', response.text))
    assert "no-store" in response["Cache-Control"]
    assert shown in client.get(url, follow=True).text


def test_link_is_for_one_person_at_a_time():
    fill(company("acme"), 2)
    staff = administrator(company("acme"))
    response = act(staff, "connect_link", *CrmUser.objects.all())
    assert messages_of(response) == ["Choose one row: each link is for one person."]
    assert not AuditEntry.objects.filter(verb="link_made").exists()


@pytest.mark.parametrize(("model", "action"), [(CrmUser, "connect_link"), (ICSToken, "subscribe_link")])
def test_nobody_gets_a_link_of_another_companys_people(model: type[Model], action: str):
    fill(company("acme"), 1)
    response = act(administrator(company("globex")), action, model._default_manager.get())
    assert "/connect/" not in response.text
    assert "/subscribe/" not in response.text
    assert not AuditEntry.objects.filter(verb="link_made").exists()
