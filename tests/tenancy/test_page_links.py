"""Links of pages: for one user, until they expire, and for nobody who changes a letter."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine
from django.test import Client
from pytest_django import Settings

from config.observability import redacted
from tenancy import page_links
from tenancy.models import AuditEntry, Company, CrmUser
from tenancy.page_links import LinkExpired, LinkRefused

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_link_says_whose_it_is_until_when_and_where_they_came_from(alice: CrmUser):
    feed = uuid4()
    link = page_links.issue(alice, now=NOW, feed=feed, return_to="https://crm.example/me", lifetime=timedelta(hours=1))
    opened = page_links.opened(link.text, now=NOW + timedelta(minutes=59))
    assert (opened.user, opened.feed, opened.return_to) == (alice, feed, "https://crm.example/me")
    assert opened.expires_at == NOW + timedelta(hours=1)


def test_link_ends_at_its_very_second(alice: CrmUser):
    link = page_links.issue(alice, now=NOW, lifetime=timedelta(hours=1))
    with pytest.raises(LinkExpired):
        page_links.opened(link.text, now=NOW + timedelta(hours=1))


def test_link_with_any_letter_changed_is_refused(alice: CrmUser):
    text = page_links.issue(alice, now=NOW).text
    for place, letter in enumerate(text):
        other = "A" if letter != "A" else "B"
        with pytest.raises(LinkRefused):
            # Of the last letter of a signature some bits mean nothing.
            page_links.opened(text[:place] + other + text[place + 1 :] + "x" * (place == len(text) - 1), now=NOW)


@pytest.mark.parametrize("text", ["", ".", "x", "a.b", "é.é", "W10.", "\0", "x" * 100_000])
def test_anything_else_is_refused(text: str):
    with pytest.raises(LinkRefused):
        page_links.opened(text, now=NOW)


def test_link_of_somebody_who_moved_to_another_company_is_refused(alice: CrmUser, globex: Company):
    text = page_links.issue(alice, now=NOW).text
    CrmUser.objects.filter(pk=alice.pk).update(company=globex)
    with pytest.raises(LinkRefused):
        page_links.opened(text, now=NOW)


def test_link_made_under_a_key_that_was_replaced_works_while_that_is_a_fallback(alice: CrmUser, settings: Settings):
    text = page_links.issue(alice, now=NOW).text
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another" * 10, [settings.SECRET_KEY]
    assert page_links.opened(text, now=NOW).user == alice
    settings.SECRET_KEY_FALLBACKS = []
    with pytest.raises(LinkRefused):
        page_links.opened(text, now=NOW)


def test_link_holds_no_name_and_its_making_is_written_down(alice: CrmUser):
    link = page_links.issue(alice, now=NOW)
    assert "alice" not in repr(link.text)
    assert link.text not in repr(link)
    assert [(entry.verb, entry.target) for entry in AuditEntry.objects.all()] == [("link_made", "alice")]


@pytest.mark.parametrize("page", ["connect", "subscribe"])
def test_log_shows_no_link(page: str):
    assert redacted(f"GET /{page}/WzEs.abc_-x/new/apple") == f"GET /{page}/[redacted]/new/apple"


@pytest.mark.parametrize("page", ["connect", "subscribe"])
def test_refused_links_are_pages_that_say_what_to_do(client: Client, alice: CrmUser, page: str):
    with time_machine.travel(NOW, tick=False):
        old = page_links.issue(alice, now=NOW - timedelta(days=2)).text
        gone = client.get(f"/{page}/{old}")
        wrong = client.get(f"/{page}/nonsense")
    assert (gone.status_code, wrong.status_code) == (410, 404)
    assert "Ask for a new one" in gone.text
    assert "Ask for a new one" in wrong.text
    for response in (gone, wrong):
        assert response["Cache-Control"] == "no-store"
        assert response["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in response["Content-Security-Policy"]


def test_form_sent_from_another_site_changes_nothing(client: Client, alice: CrmUser):
    path = f"/subscribe/{page_links.issue(alice, now=datetime.now(UTC)).text}"
    response = client.post(path, {"label": "mine"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403
    assert not alice.ics_tokens.exists()


def test_forms_are_taken_so_often_a_minute_and_no_more(client: Client, alice: CrmUser):
    path = f"/subscribe/{page_links.issue(alice, now=NOW).text}"
    with time_machine.travel(NOW, tick=False):
        statuses = [client.post(path).status_code for _ in range(41)]
    assert statuses == [302] * 40 + [429]
    assert alice.ics_tokens.count() == 40
