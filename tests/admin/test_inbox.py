"""Cal.com's deliveries, and the first page that says which of them failed."""

import json

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from calendars.models import CalendarAccount, Meeting
from integrations import admin as inbox
from integrations import deliveries
from integrations.admin import pretty
from integrations.models import DeliveryState, WebhookDelivery
from tests.admin.world import act, administrator, company, fill, list_of, messages_of, operator, page_of

pytestmark = pytest.mark.django_db

BOOKING = {
    "triggerEvent": "BOOKING_CREATED",
    "createdAt": "2026-03-01T08:00:00Z",
    "payload": {
        "uid": "booking-1",
        "title": "Interview",
        "startTime": "2026-03-02T09:00:00Z",
        "endTime": "2026-03-02T10:00:00Z",
        "organizer": {"email": "alice@acme.example", "name": "Alice"},
        "attendees": [],
    },
}


@pytest.fixture
def client(db: None) -> Client:
    return operator()


def delivered(body: bytes, *, state: str = DeliveryState.FAILED) -> WebhookDelivery:
    return WebhookDelivery.objects.create(
        company=company("acme"), body=body, signed=True, state=state, attempts=3, error="once upon a time"
    )


@pytest.mark.django_db(transaction=True)
def test_replayed_delivery_is_handled_from_the_start(client: Client) -> None:
    delivery = delivered(json.dumps(BOOKING).encode())
    response = act(client, "replay", delivery)
    assert messages_of(response) == ["Deliveries to be handled again: 1."]
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.error) == (DeliveryState.HANDLED, 1, "")
    meeting = Meeting.objects.get()
    assert meeting.title == "Interview"
    assert page_of(meeting) in client.get(page_of(delivery)).content.decode(), "its page leads to the meeting"


def test_replayed_deliveries_wait_for_a_worker_in_the_order_they_came(
    client: Client, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks
) -> None:
    rung: list[int] = []
    monkeypatch.setattr(deliveries, "ring", lambda _task, pk, queue: rung.append(pk))
    rows = [delivered(b"{}") for _ in range(3)]
    with django_capture_on_commit_callbacks(execute=True):
        act(client, "replay", *reversed(rows))
    assert rung == [row.pk for row in rows]
    waiting = WebhookDelivery.objects.filter(state=DeliveryState.RECEIVED, attempts=0, error="")
    assert waiting.count() == 3


def test_too_many_deliveries_at_once_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MOST_AT_ONCE", 1)
    response = act(client, "replay", delivered(b"{}"), delivered(b"{}"))
    assert messages_of(response) == ["2 deliveries are too many at once: choose at most 1."]
    assert not WebhookDelivery.objects.exclude(state=DeliveryState.FAILED).exists()


def test_staff_who_may_only_look_do_not_replay(db: None) -> None:
    from django.contrib.auth.models import Group, Permission

    client = administrator(company("acme"))
    Group.objects.get().permissions.remove(Permission.objects.get(codename="change_webhookdelivery"))
    delivery = delivered(b"{}")
    assert "replay" not in [button["name"] for button in client.get(page_of(delivery)).context["buttons"]]
    act(client, "replay", delivery)
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.FAILED


@pytest.mark.parametrize(
    ("body", "shown", "because"),
    [
        (b'{"a":[1]}', '{\n  "a": [\n    1\n  ]\n}', "JSON is indented"),
        ('{"name":"Zoë"}'.encode(), '{\n  "name": "Zoë"\n}', "and stays readable"),
        (b"payload=1", "payload=1", "what is no JSON is text"),
        (b"\xff\xfe", "��", "what is no UTF-8 is marked"),
        (b"", "", "nothing is nothing"),
        (b"[" * 100_000, "[" * 100_000, "nested beyond reason is text"),
        (b"x" * 100_002, "x" * 100_000 + "\n… and 2 characters more", "what is long is cut"),
    ],
)
def test_payload_is_written_out(body: bytes, shown: str, because: str) -> None:
    assert pretty(body) == shown, because


@pytest.mark.parametrize("body", [b"\xff\x00<script>alert(1)</script>", b"", b'{"a": "<script>alert(1)</script>"}'])
def test_any_body_has_a_page_and_is_text_on_it(client: Client, body: bytes) -> None:
    response = client.get(page_of(delivered(body)))
    assert response.status_code == 200
    assert "<script>alert" not in response.content.decode()


def test_delivery_that_no_key_opens_has_a_page_that_says_so(client: Client, settings: LazySettings) -> None:
    delivery = delivered(b'{"name": "canary"}')
    assert "canary" in client.get(page_of(delivery)).content.decode()
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    page = client.get(page_of(delivery))
    assert page.status_code == 200
    assert inbox.CLOSED in page.content.decode()
    assert client.get(list_of(WebhookDelivery)).status_code == 200


def test_what_was_delivered_to_a_company_is_shown_to_its_staff_alone() -> None:
    delivery = delivered(b'{"name": "canary"}')
    assert "canary" in administrator(company("acme")).get(page_of(delivery)).content.decode()
    elsewhere = administrator(company("globex")).get(page_of(delivery), follow=True)
    assert "canary" not in elsewhere.content.decode()


def test_deliveries_are_read_only(client: Client) -> None:
    delivery = delivered(b"{}")
    assert client.get(list_of(WebhookDelivery) + "add/").status_code == 403
    assert client.post(page_of(delivery), {"state": "handled"}).status_code == 403
    assert client.post(page_of(delivery, "delete"), {"post": "yes"}).status_code == 403


def test_first_page_says_what_needs_a_person_and_links_to_it(client: Client) -> None:
    fill(company("acme"), 1)
    CalendarAccount.objects.create(
        company=company("acme"),
        user=fill(company("acme"), 1),
        provider="caldav",
        email="carol@acme.example",
        last_error_code="reconnect_needed",
        last_error="The password is refused. Connect the account again.",
    )
    response = client.get("/admin/")
    concerns = {concern.title: concern for concern in response.context["concerns"]}
    assert {title: concern.count for title, concern in concerns.items()} == {
        "Accounts to connect again": 1,
        "Accounts that fail": 2,
        "Deletions held back": 2,
        "Deliveries that failed": 2,
    }
    for concern in concerns.values():
        assert client.get(concern.url).context["cl"].result_count == concern.count
        assert all(client.get(item.url).status_code == 200 for item in concern.items)


def test_first_page_names_the_company_whose_deliveries_nobody_signs(client: Client) -> None:
    delivered(b"{}", state=DeliveryState.HANDLED)
    fill(company("globex"), 1)
    concerns = {concern.title: concern for concern in client.get("/admin/").context["concerns"]}
    unsigned = concerns["Companies that take unsigned deliveries"]
    assert [item.title for item in unsigned.items] == ["Acme"]
    assert client.get(unsigned.url).context["cl"].result_count == unsigned.count == 1


def test_first_page_is_quiet_when_all_is_well(client: Client) -> None:
    assert "Nothing needs a person now." in client.get("/admin/").content.decode()


def test_first_page_tells_of_the_own_company_only(db: None) -> None:
    fill(company("acme"), 2)
    fill(company("globex"), 1)
    response = administrator(company("globex")).get("/admin/")
    assert [concern.count for concern in response.context["concerns"]] == [1, 1, 1]
    assert "acme" not in response.content.decode().lower()


def test_times_in_lists_are_of_no_zone_but_utc(client: Client, settings: LazySettings) -> None:
    delivery = delivered(b"{}")
    WebhookDelivery.objects.update(received_at=timezone.now().replace(year=2026, month=3, day=2, hour=9, minute=5))
    assert settings.TIME_ZONE == "UTC"
    assert "2026-03-02 09:05 UTC" in client.get(page_of(delivery)).content.decode()
