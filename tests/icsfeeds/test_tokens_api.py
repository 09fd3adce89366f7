"""`/users/:user_unique_id/ics_tokens`: the document's names and the SDK's, and nobody else's tokens."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client

from icsfeeds import services
from icsfeeds.models import ICSToken
from tests.cast import client_for

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
PATH = "/users/alice/ics_tokens"
DOCUMENTED = {"unique_id", "token", "label", "active", "created_at"}
READ_BY_THE_SDK = {
    "unique_id", "user_unique_id", "token", "name", "description", "expires_at", "last_accessed_at", "access_count",
    "status", "enabled", "payload", "created_at", "updated_at",
}  # fmt: skip


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture
def api(acme, alice):
    return client_for(acme, alice)


@pytest.fixture
def token(alice) -> ICSToken:
    return services.issue(alice, label="Personal Calendar Feed")


def attributes(response, status: int = 200) -> dict:
    assert response.status_code == status, response.content
    data = response.json()["data"]
    assert data["type"] == "ics_token"
    assert data["id"] == data["attributes"]["unique_id"]
    return data["attributes"]


def pointers(response) -> list[str]:
    assert response.status_code == 422, response.content
    return [error["source"]["pointer"] for error in response.json()["errors"]]


# Making -------------------------------------------------------------------------------------------------------------


def test_the_documented_request_gets_the_documented_answer(api):
    made = attributes(api.post(PATH, {"ics_token": {"label": "Shared Team Calendar"}}, format="json"), 201)

    assert set(made) >= DOCUMENTED | READ_BY_THE_SDK
    assert made["label"] == made["name"] == "Shared Team Calendar"
    assert made["active"] is made["enabled"] is True
    assert made["status"] == "active"
    assert made["created_at"] == "2026-03-10T12:00:00Z"
    assert made["include_synced"] is False
    assert made["feed_url"] == f"http://testserver/calendars/acme/ics/{made['token']}"
    assert made["webcal_url"] == f"webcal://testserver/calendars/acme/ics/{made['token']}"
    assert Client().get(made["feed_url"]).status_code == 200


def test_the_sdks_flat_body_works_as_well(api):
    body = {"name": "Feed", "expires_at": "2026-12-31T00:00:00Z"}

    made = attributes(api.post(PATH, body, format="json"), 201)

    assert (made["label"], made["expires_at"]) == ("Feed", "2026-12-31T00:00:00Z")


def test_the_documents_name_wins_over_the_sdks(api):
    body = {"name": "no", "label": "yes", "enabled": True, "active": False}

    made = attributes(api.post(PATH, body, format="json"), 201)

    assert (made["label"], made["active"], made["status"]) == ("yes", False, "inactive")


def test_a_documents_name_that_is_null_leaves_the_word_to_the_sdks(api):
    assert attributes(api.post(PATH, {"label": None, "name": "Feed"}, format="json"), 201)["label"] == "Feed"


def test_an_empty_body_makes_a_token_without_a_label(api):
    assert attributes(api.post(PATH, {}, format="json"), 201)["label"] == ""


def test_a_token_has_128_bits_or_more_and_is_stored_as_digest_and_ciphertext_only(api):
    value = attributes(api.post(PATH, {}, format="json"), 201)["token"]

    assert len(value) * 6 >= 128
    stored = ICSToken.objects.values().get()
    assert stored["digest"] == ICSToken.digest_of(value)
    in_database = ICSToken.objects.extra(select={"raw": "encrypted_token"}).values_list("raw", flat=True).get()
    assert value not in in_database
    row = ICSToken.objects.get()
    assert value not in repr(row) + str(row)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"label": "x" * 256}, "/data/attributes/label"),
        ({"label": ["a list"]}, "/data/attributes/label"),
        ({"expires_at": "tomorrow"}, "/data/attributes/expires_at"),
        ({"expires_at": 1_800_000_000}, "/data/attributes/expires_at"),
        ({"expires_at": "2026-03-10T12:00:00Z"}, "/data/attributes/expires_at"),
        ({"active": "perhaps"}, "/data/attributes/active"),
        ({"include_synced": None}, "/data/attributes/include_synced"),
    ],
)
def test_a_value_that_cannot_be_is_named_in_the_answer(api, body, pointer):
    assert pointers(api.post(PATH, body, format="json")) == [pointer]
    assert not ICSToken.objects.exists()


# Reading ------------------------------------------------------------------------------------------------------------


def test_one_token_is_shown(api, token):
    shown = attributes(api.get(f"{PATH}/{token.unique_id}"))

    assert (shown["token"], shown["user_unique_id"]) == (token.encrypted_token, "alice")


def test_the_count_shows_reads_that_are_not_written_yet(api, token):
    for _ in range(3):
        Client().get(f"/calendars/acme/ics/{token.encrypted_token}")

    shown = attributes(api.get(f"{PATH}/{token.unique_id}"))

    assert (shown["access_count"], shown["last_accessed_at"]) == (3, "2026-03-10T12:00:00Z")
    assert api.get(PATH).json()["data"][0]["attributes"]["access_count"] == 3


def test_a_list_holds_the_users_tokens_and_counts_them(api, alice, bob, token):
    services.issue(bob)

    listed = api.get(PATH).json()

    assert [one["id"] for one in listed["data"]] == [str(token.unique_id)]
    assert listed["meta"]["total_count"] == 1


@pytest.mark.parametrize(
    ("query", "labels"),
    [
        ("sort=label", ["expired", "off", "on"]),
        ("sort=-label", ["on", "off", "expired"]),
        ("status=active", ["on"]),
        ("status=inactive&sort=name", ["expired", "off"]),
        ("status=archived", []),
        ("search=OFF", ["off"]),
        ("page=2&records=1&sort=label", ["off"]),
    ],
)
def test_a_list_is_sorted_searched_filtered_and_paged(api, alice, query, labels):
    services.issue(alice, label="on", expires_at=NOW + timedelta(seconds=1))
    services.issue(alice, label="off", active=False)
    services.issue(alice, label="expired", expires_at=NOW)

    listed = api.get(f"{PATH}?{query}")

    assert listed.status_code == 200, listed.content
    assert [one["attributes"]["label"] for one in listed.json()["data"]] == labels


def test_a_status_that_is_none_is_refused(api):
    assert api.get(f"{PATH}?status=sleeping").status_code == 422


def test_a_list_costs_the_same_queries_for_one_row_and_for_fifty(api, alice, token, django_assert_max_num_queries):
    with django_assert_max_num_queries(100) as one:
        api.get(f"{PATH}?records=100")
    for _ in range(49):
        services.issue(alice)
    with django_assert_max_num_queries(len(one)):
        assert len(api.get(f"{PATH}?records=100").json()["data"]) == 50


# Changing and ending -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({"ics_token": {"label": "New"}}, {"label": "New", "active": True}),
        ({"name": "New"}, {"label": "New", "name": "New"}),
        ({"active": False}, {"active": False, "status": "inactive", "label": "Personal Calendar Feed"}),
        ({"enabled": False}, {"active": False, "enabled": False}),
        ({"expires_at": "2026-03-10T11:00:00Z"}, {"expires_at": "2026-03-10T11:00:00Z", "status": "inactive"}),
        ({"expires_at": None}, {"expires_at": None, "status": "active"}),
        ({"include_synced": True}, {"include_synced": True}),
        ({"token": "chosen", "unique_id": "x", "access_count": 9}, {"access_count": 0}),
        ({"data": {"type": "ics_token", "attributes": {"label": "Doc"}}}, {"label": "Doc"}),
    ],
)
def test_a_change_names_only_what_it_changes(api, token, body, changed):
    shown = attributes(api.put(f"{PATH}/{token.unique_id}", body, format="json"))

    assert changed.items() <= shown.items()
    assert shown["token"] == token.encrypted_token


def test_a_deleted_token_opens_nothing_any_more(api, token):
    assert api.delete(f"{PATH}/{token.unique_id}").status_code == 204

    assert Client().get(f"/calendars/acme/ics/{token.encrypted_token}").status_code == 404
    assert api.get(f"{PATH}/{token.unique_id}").status_code == 404


# Mallory ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_mallory_cannot_reach_a_token_of_another_company(globex, mallory, token, method):
    for thief in (client_for(globex), client_for(globex, mallory)):
        for user in ("alice", "mallory"):
            response = getattr(thief, method)(f"/users/{user}/ics_tokens/{token.unique_id}", {}, format="json")
            assert response.status_code in {403, 404}
    assert client_for(globex).get(f"{PATH}/{token.unique_id}").json()["errors"][0]["title"] == "ICS Token Not Found"
    assert ICSToken.objects.get().label == "Personal Calendar Feed"


def test_mallory_sees_and_makes_tokens_in_her_own_company_only(globex, mallory, token):
    administrator = client_for(globex)

    assert administrator.get(PATH).json()["data"] == []
    made = attributes(administrator.post(PATH, {}, format="json"), 201)
    assert ICSToken.objects.get(unique_id=made["unique_id"]).user.company == globex


def test_mallory_cannot_open_her_feed_under_another_companys_name_nor_anothers_under_hers(acme, mallory, token):
    hers = services.issue(mallory)

    assert Client().get(f"/calendars/acme/ics/{hers.encrypted_token}").status_code == 404
    assert Client().get(f"/calendars/globex/ics/{token.encrypted_token}").status_code == 404


def test_bobs_own_token_does_not_reach_alices_feeds(acme, bob, token):
    assert client_for(acme, bob).get(PATH).status_code == 403
    assert client_for(acme, bob).get(f"/users/bob/ics_tokens/{token.unique_id}").status_code == 404


@pytest.mark.parametrize("unknown", ["nonsense", "00000000-0000-4000-8000-000000000000", "0", "%00"])
def test_an_id_that_is_none_is_not_found(api, unknown):
    assert api.get(f"{PATH}/{unknown}").status_code == 404


def test_nobody_without_credentials_sees_a_token(token):
    assert Client().get(PATH).status_code == 401
    assert Client().get(f"{PATH}/{token.unique_id}").status_code == 401


# What is shown, and to whom ------------------------------------------------------------------------------------------


def test_the_documented_body_suffices_and_says_what_it_chose(api):
    made = attributes(api.post(PATH, {"ics_token": {"label": "Feed"}}, format="json"), 201)

    chosen = {name: made[name] for name in ("shows", "detail", "attendees", "past_days", "future_days", "color")}
    assert chosen == {
        "shows": ["meetings", "busy_blocks"], "detail": "full", "attendees": False, "past_days": 365,
        "future_days": 400, "color": "",
    }  # fmt: skip
    assert (made["refresh_seconds"], made["user_unique_ids"], made["last_user_agent"]) == (None, [], "")


def test_a_token_links_to_its_feed_for_browsers_and_programs(api):
    data = api.post(PATH, {}, format="json").json()["data"]

    feed = f"http://testserver/calendars/acme/ics/{data['attributes']['token']}"
    webcal = feed.replace("http://", "webcal://")
    assert data["links"] == {"self": feed, "webcal": webcal, "download": f"{feed}?download"}
    assert data["attributes"]["ifb_url"] == f"{feed}.ifb"


def test_choices_are_kept_and_changed_one_by_one(api):
    chosen = {
        "shows": ["busy_blocks", "synced"], "detail": "busy", "attendees": True, "past_days": None, "future_days": 30,
        "color": "#00aaff", "refresh_seconds": 3600,
    }  # fmt: skip
    made = attributes(api.post(PATH, chosen, format="json"), 201)
    assert {name: made[name] for name in chosen} == {**chosen, "color": "#00AAFF"}
    assert made["include_synced"] is True

    changed = attributes(api.put(f"{PATH}/{made['unique_id']}", {"past_days": 0}, format="json"))

    assert {name: changed[name] for name in chosen} == {**chosen, "color": "#00AAFF", "past_days": 0}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"shows": "meetings"}, "/data/attributes/shows"),
        ({"shows": ["everything"]}, "/data/attributes/shows"),
        ({"detail": "half"}, "/data/attributes/detail"),
        ({"past_days": -1}, "/data/attributes/past_days"),
        ({"future_days": 100_000}, "/data/attributes/future_days"),
        ({"color": "red\r\nX:1"}, "/data/attributes/color"),
        ({"refresh_seconds": 5}, "/data/attributes/refresh_seconds"),
    ],
)
def test_a_choice_that_cannot_be_is_named_in_the_answer(api, body, pointer):
    assert pointers(api.post(PATH, body, format="json")) == [pointer]


def test_a_rotated_token_is_another_one_and_the_old_one_dies_at_once(api, token):
    old = f"/calendars/acme/ics/{token.encrypted_token}"
    etag = Client().get(old)["ETag"]

    made = attributes(api.post(f"{PATH}/{token.unique_id}/rotate"))

    assert made["unique_id"] == str(token.unique_id)
    assert made["token"] != token.encrypted_token
    assert Client().get(old, headers={"If-None-Match": etag}).status_code == 404
    assert Client().get(made["feed_url"]).status_code == 200


def test_an_administrator_opens_a_teams_feed_and_nobody_else_does(acme, api, alice, bob, mallory):
    administrator = client_for(acme)

    made = attributes(administrator.post(PATH, {"user_unique_ids": ["bob"]}, format="json"), 201)

    assert made["user_unique_ids"] == ["bob"]
    assert api.post(PATH, {"user_unique_ids": ["bob"]}, format="json").status_code == 403
    assert api.put(f"{PATH}/{made['unique_id']}", {"user_unique_ids": ["bob"]}, format="json").status_code == 403
    unknown = administrator.post(PATH, {"user_unique_ids": ["bob", "mallory"]}, format="json")
    assert pointers(unknown) == ["/data/attributes/user_unique_ids"]


def test_mallory_cannot_rotate_a_token_of_another_company(globex, mallory, token):
    assert client_for(globex).post(f"{PATH}/{token.unique_id}/rotate").status_code == 404
    assert client_for(globex, mallory).post(f"{PATH}/{token.unique_id}/rotate").status_code == 403
    assert ICSToken.objects.get().digest == token.digest


def test_bob_cannot_rotate_alices_token(acme, bob, token):
    assert client_for(acme, bob).post(f"{PATH}/{token.unique_id}/rotate").status_code == 403
