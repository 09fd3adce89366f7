"""The subscribe page: whose feeds it shows, what its buttons say, and that an old address dies."""

from datetime import UTC, datetime
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from icsfeeds import services
from icsfeeds.models import ICSToken
from icsfeeds.serializers import feed_url
from tenancy import page_links
from tenancy.models import Company, CrmUser
from tests.cast import client_for

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _sunday() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def link_of(user: CrmUser, token: ICSToken | None = None) -> str:
    return page_links.issue(user, now=NOW, feed=token.unique_id if token else None).text


def test_buttons_lead_to_the_programs_with_the_feeds_address(client: Client, alice: CrmUser):
    token = services.issue(alice, label="Work & more")
    page = client.get(reverse("subscribe-feed", args=[link_of(alice), token.unique_id]))
    value = token.encrypted_token
    assert page.context["webcal"] == f"webcal://testserver/calendars/acme/ics/{value}"
    assert page.context["google"].endswith(f"?cid=webcal%3A%2F%2Ftestserver%2Fcalendars%2Facme%2Fics%2F{value}")
    assert page.context["outlook"].endswith(
        f"?url=http%3A%2F%2Ftestserver%2Fcalendars%2Facme%2Fics%2F{value}&name=Work+%26+more"
    )
    assert "<svg" in page.context["picture"]


def test_link_of_one_feed_opens_that_feed_alone(client: Client, acme: Company, alice: CrmUser):
    mine, other = services.issue(alice, label="Mine"), services.issue(alice, label="Other")
    answer = client_for(acme, alice).post(f"/users/alice/ics_tokens/{mine.unique_id}/subscribe_links")
    path = answer.json()["data"]["attributes"]["url"].removeprefix("http://testserver")
    page = client.get(path, follow=True)
    assert answer.status_code == 201
    assert "Mine" in page.text
    assert "Other" not in page.text
    assert "/connect/" not in page.text
    for name in ("subscribe-feed", "subscribe-rotate"):
        link = link_of(alice, mine)
        assert client.post(reverse(name, args=[link, other.unique_id])).status_code == 404
    assert client.post(reverse("subscribe", args=[link_of(alice, mine)]), {"label": "new"}).status_code == 302
    assert ICSToken.objects.count() == 2


def test_feeds_of_others_are_not_there(client: Client, acme: Company, alice: CrmUser, bob: CrmUser, mallory: CrmUser):
    for other in (bob, mallory):
        token = services.issue(other, label="theirs")
        for name in ("subscribe-feed", "subscribe-rotate"):
            for method in (client.get, client.post):
                assert method(reverse(name, args=[link_of(alice), token.unique_id])).status_code == 404
        assert "theirs" not in client.get(reverse("subscribe", args=[link_of(alice)])).text
        api = client_for(acme, alice)
        assert api.post(f"/users/alice/ics_tokens/{token.unique_id}/subscribe_links").status_code == 404


def test_rotated_feed_has_a_new_address_and_the_old_one_is_dead(client: Client, alice: CrmUser):
    token = services.issue(alice)
    old = feed_url(token).removeprefix("http://testserver")
    assert client.get(old).status_code == 200
    page = client.post(reverse("subscribe-rotate", args=[link_of(alice), token.unique_id]), follow=True)
    assert client.get(old).status_code == 404
    assert page.context["address"] not in old
    assert client.get(page.context["address"].removeprefix("http://testserver")).status_code == 200


@pytest.mark.parametrize(("sent", "detail"), [("busy", "busy"), ("full", "full"), ("", "full"), ("odd", "full")])
def test_feed_shows_details_or_busy_only(client: Client, alice: CrmUser, sent: str, detail: str):
    token = services.issue(alice)
    client.post(reverse("subscribe-feed", args=[link_of(alice), token.unique_id]), {"detail": sent})
    token.refresh_from_db()
    assert token.detail == detail


def test_new_feed_takes_a_name_of_any_letters(client: Client, alice: CrmUser):
    client.post(reverse("subscribe", args=[link_of(alice)]), {"label": "  \0" + "ä" * 300, "detail": "busy"})
    token = ICSToken.objects.get()
    assert token.label == "ä" * 255
    assert (token.detail, token.include_synced) == ("busy", False)


def test_closed_feed_says_so(client: Client, alice: CrmUser):
    token = services.issue(alice, active=False)
    page = client.get(reverse("subscribe-feed", args=[link_of(alice), token.unique_id]))
    assert "switched off or has expired" in page.text
