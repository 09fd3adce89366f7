"""`/users/:user_unique_id/calendar_accounts`, under the names of the document and of the SDK."""

from typing import Any

import pytest
from django.conf import LazySettings
from pytest_django import DjangoAssertNumQueries

from calendars.models import Calendar, CalendarAccount
from tests.calendars.mirror import MEMORY
from tests.calendars.people import acme_admin, alice, bob, errors, mallory
from tests.calendars.test_accounts import calendar_of

pytestmark = pytest.mark.django_db

PATH = "/users/alice/calendar_accounts"
DOCUMENTED = {"calendar_account": {"provider": "google", "email": "user@gmail.com", "sync_enabled": True}}
CALDAV = {
    "provider": "caldav",
    "email": "alice@acme.example",
    "provider_data": {"server_url": "https://dav.example", "username": "alice", "password": "canary-password"},
}


@pytest.fixture(autouse=True)
def _memory(settings: LazySettings) -> None:
    settings.CALENDAR_PROVIDERS = MEMORY


def created(body: Any = DOCUMENTED) -> dict[str, Any]:
    response = alice().post(PATH, body)
    assert response.status_code == 201, response.content
    data: dict[str, Any] = response.json()["data"]
    return data


def test_documented_create_gets_the_documented_answer() -> None:
    data = created()
    assert data["type"] == "calendar_account"
    assert data["id"] == data["attributes"]["unique_id"]
    documented = {"provider": "google", "email": "user@gmail.com", "sync_enabled": True, "status": "active"}
    assert documented.items() <= data["attributes"].items()
    assert data["attributes"]["last_synced_at"] is None
    assert data["attributes"]["created_at"].endswith("Z")


def test_account_shows_the_names_of_the_sdk_beside_those_of_the_document() -> None:
    shown = created()["attributes"]
    assert shown["user_unique_id"] == "alice"
    assert shown["enabled"] is shown["sync_enabled"] is True
    assert shown["last_sync_at"] is shown["last_synced_at"] is None
    for name in ("connected", "last_error", "next_attempt_at", "last_attempt_at", "token_expires_at", "payload"):
        assert name in shown


def test_create_body_of_the_sdk_is_understood() -> None:
    body = {
        "calendar_account": {
            "provider": "google",
            "user_email": "alice@gmail.com",
            "access_token": "canary-access",
            "refresh_token": "canary-refresh",
            "expires_at": "2026-03-02T13:00:00Z",
            "token_type": "Bearer",
            "scopes": ["calendar.readonly"],
            "external_user_id": "117",
        }
    }
    shown = created(body)["attributes"]
    assert (shown["email"], shown["token_expires_at"]) == ("alice@gmail.com", "2026-03-02T13:00:00Z")
    account = CalendarAccount.objects.get()
    assert account.external_user_id == "117"
    assert (account.credentials or {})["access_token"] == "canary-access"


def test_fields_that_the_sdk_fills_with_nothing_say_nothing() -> None:
    body: dict[str, Any] = {"provider": "google", "email": None, "user_email": "sdk@gmail.com", "provider_data": {}}

    made = alice().post(PATH, {"calendar_account": body})

    assert made.status_code == 201, made.content
    assert made.json()["data"]["attributes"]["email"] == "sdk@gmail.com"


def test_email_of_the_document_wins_over_that_of_the_sdk() -> None:
    body = {"provider": "google", "email": "document@gmail.com", "user_email": "sdk@gmail.com"}
    assert created(body)["attributes"]["email"] == "document@gmail.com"


def test_json_api_document_is_understood_too() -> None:
    body = {"data": {"type": "calendar_account", "attributes": DOCUMENTED["calendar_account"]}}
    assert created(body)["attributes"]["provider"] == "google"


def test_secrets_go_in_and_never_come_out() -> None:
    created(CALDAV)
    account = CalendarAccount.objects.get()
    assert (account.credentials or {})["password"] == "canary-password"
    texts = [alice().get(PATH).content, alice().get(f"{PATH}/{account.unique_id}").content]
    texts.append(alice().put(f"{PATH}/{account.unique_id}", {"provider_data": {"password": "canary-two"}}).content)
    assert not any(b"canary" in text or b"provider_data" in text for text in texts)


def test_creating_the_same_account_again_is_a_reconnect() -> None:
    assert created(CALDAV)["id"] == created(CALDAV)["id"]
    assert CalendarAccount.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "where", "says"),
    [
        ({"email": "a@example.com"}, "provider", "required"),
        ({"provider": "yahoo", "email": "a@example.com"}, "provider", "google, outlook, apple, caldav, ics"),
        ({"provider": "google"}, "email", "required"),
        ({"provider": "google", "email": "nobody"}, "email", "valid email"),
        ({"provider": "google", "email": "a@example.com", "sync_enabled": "perhaps"}, "sync_enabled", "boolean"),
        ({"provider": "google", "email": "a@example.com", "provider_data": {"a": 1}}, "provider_data", "caldav"),
        ({"provider": "google", "email": "a@example.com", "code": "4/x"}, "code", "not set up to exchange"),
        ({"provider": "caldav", "email": "a@example.com", "access_token": "x"}, "access_token", "google, outlook"),
        ({"provider": "google", "email": "a@example.com", "scopes": 7}, "scopes", "list of scopes"),
        ({"provider": "google", "email": "a@example.com", "expires_at": "soon"}, "expires_at", "ISO 8601"),
        ({"provider": "caldav", "email": "a@example.com", "provider_data": "x"}, "provider_data", "dictionary"),
        ({"provider": "caldav", "email": "a@example.com", "provider_data": {}}, "provider_data/password", "password"),
    ],
)
def test_body_that_cannot_be_used_names_its_field(body: Any, where: str, says: str) -> None:
    response = alice().post(PATH, {"calendar_account": body})
    assert response.status_code == 422
    assert errors(response) == [("422", "validation_error", f"/data/attributes/{where}")]
    assert says in response.json()["errors"][0]["detail"]
    assert not CalendarAccount.objects.exists()


def test_change_takes_the_wrapped_body_of_the_document_and_the_flat_one_of_the_sdk() -> None:
    path = f"{PATH}/{created()['id']}"
    off = alice().put(path, {"calendar_account": {"sync_enabled": False}})
    assert (off.status_code, off.json()["data"]["attributes"]["status"]) == (200, "inactive")
    on = alice().put(path, {"sync_enabled": True})
    assert (on.status_code, on.json()["data"]["attributes"]["status"]) == (200, "active")


def test_change_leaves_what_it_does_not_name() -> None:
    account = created({"provider": "google", "email": "user@gmail.com", "name": "Work", "sync_enabled": False})
    shown = alice().put(f"{PATH}/{account['id']}", {"email": "other@gmail.com"}).json()["data"]["attributes"]
    assert (shown["email"], shown["name"], shown["sync_enabled"]) == ("other@gmail.com", "Work", False)


def test_provider_of_an_account_cannot_change() -> None:
    response = alice().put(f"{PATH}/{created()['id']}", {"provider": "outlook"})
    assert errors(response) == [("422", "validation_error", "/data/attributes/provider")]


def test_change_into_another_account_of_the_user_is_refused() -> None:
    created()
    other = created({"provider": "google", "email": "other@gmail.com"})
    response = alice().put(f"{PATH}/{other['id']}", {"email": "user@gmail.com"})
    assert errors(response) == [("422", "already_connected", "/data/attributes/email")]


def test_deleted_account_answers_204_and_is_gone() -> None:
    path = f"{PATH}/{created()['id']}"
    response = alice().delete(path)
    assert (response.status_code, response.content) == (204, b"")
    assert alice().get(path).status_code == 404


def test_unknown_account_is_the_documented_404() -> None:
    for unknown in ("8d0f3a52-2cf5-4c52-b4f1-0f4c8a5b6c7d", "cal-account-uuid-123"):
        response = alice().get(f"{PATH}/{unknown}")
        assert response.json()["errors"] == [
            {
                "status": "404",
                "code": "not_found",
                "title": "Calendar Account Not Found",
                "detail": "The requested calendar account could not be found.",
            }
        ]


@pytest.mark.parametrize(
    ("query", "emails"),
    [
        ("", ["a@gmail.com", "b@outlook.com", "c@gmail.com"]),
        ("provider=google", ["a@gmail.com", "c@gmail.com"]),
        ("sync_enabled=false", ["b@outlook.com"]),
        ("sync_enabled=true", ["a@gmail.com", "c@gmail.com"]),
        ("status=inactive", ["b@outlook.com"]),
        ("search=OUTLOOK", ["b@outlook.com"]),
        ("search=work", ["c@gmail.com"]),
        ("sort=-email", ["c@gmail.com", "b@outlook.com", "a@gmail.com"]),
        ("records=1&page=2", ["b@outlook.com"]),
    ],
)
def test_list_is_filtered_searched_sorted_and_paged(query: str, emails: list[str]) -> None:
    created({"provider": "google", "email": "a@gmail.com"})
    created({"provider": "outlook", "email": "b@outlook.com", "sync_enabled": False})
    created({"provider": "google", "email": "c@gmail.com", "name": "Work"})
    found = alice().get(f"{PATH}?{query}").json()["data"]
    assert [item["attributes"]["email"] for item in found] == emails


@pytest.mark.parametrize("query", ["provider=yahoo", "sync_enabled=perhaps", "status=odd", "sort=credentials"])
def test_parameter_that_means_nothing_is_named(query: str) -> None:
    response = alice().get(f"{PATH}?{query}")
    assert errors(response) == [("422", "validation_error", query.partition("=")[0])]


def test_user_without_accounts_has_an_empty_list() -> None:
    assert alice().get(PATH).json()["data"] == []


def test_list_costs_three_queries_and_decrypts_nothing(
    django_assert_num_queries: DjangoAssertNumQueries, settings: LazySettings
) -> None:
    caller = alice()
    for number in range(12):
        caller.post(PATH, {**CALDAV, "email": f"a{number}@acme.example"})
    # Whoever decrypts with this key fails.
    settings.FIELD_ENCRYPTION_KEYS = ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
    with django_assert_num_queries(3):
        response = caller.get(f"{PATH}?records=100")
    assert len(response.json()["data"]) == 12


def test_held_deletions_are_counted_over_the_calendars() -> None:
    account = CalendarAccount.objects.get(unique_id=created()["id"])
    for held in (30, 12):
        Calendar.objects.filter(pk=calendar_of(account).pk).update(held_count=held)
    assert alice().get(f"{PATH}/{account.unique_id}").json()["data"]["attributes"]["held_deletions_count"] == 42


def test_bob_may_not_touch_alices_accounts() -> None:
    path = f"{PATH}/{created()['id']}"
    caller = bob()
    answers = [
        caller.get(PATH),
        caller.post(PATH, DOCUMENTED),
        caller.get(path),
        caller.put(path, {"sync_enabled": False}),
        caller.delete(path),
    ]
    assert [answer.status_code for answer in answers] == [403] * 5
    assert CalendarAccount.objects.get().sync_enabled


def test_admin_of_the_company_reaches_alices_accounts() -> None:
    created()
    assert len(acme_admin().get(PATH).json()["data"]) == 1


def test_mallory_finds_nothing_of_alice_and_changes_nothing() -> None:
    path = f"{PATH}/{created()['id']}"
    caller = mallory()
    assert caller.get(PATH).json()["data"] == []
    answers = [caller.get(path), caller.put(path, {"sync_enabled": False}), caller.delete(path)]
    assert [answer.status_code for answer in answers] == [404] * 3
    account = CalendarAccount.objects.get()
    assert account.sync_enabled


def test_account_that_mallory_makes_for_an_alice_is_globexs() -> None:
    account = created()
    mallory().post(PATH, DOCUMENTED)
    assert [item["id"] for item in alice().get(PATH).json()["data"]] == [account["id"]]
