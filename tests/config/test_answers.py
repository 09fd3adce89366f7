"""Documents on every path of the API, whatever went wrong; pages; methods."""

import json
import uuid
from urllib.parse import unquote

import pytest
from django.core.cache import caches
from django.db import InterfaceError, connection
from django.test import Client
from django.urls import reverse

from busyblocks.models import BusyBlock
from tenancy.models import CrmUser
from tests.config.test_bodies import FLAT, JSON, error_of

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.config.toy"), pytest.mark.once]

NOTES = "/users/alice/notes"


def notes(company, user, count=1):
    owner, _ = CrmUser.objects.get_or_create(company=company, unique_id=user)
    return [
        BusyBlock.objects.create(
            company=company,
            user=owner,
            title=f"n{number}",
            start_time="2026-02-20T12:00:00Z",
            end_time="2026-02-20T13:00:00Z",
        )
        for number in range(count)
    ]


# Paths --------------------------------------------------------------------------------------------------------------


def test_unknown_row_is_worded_as_documented(as_alice):
    assert as_alice.get(f"{NOTES}/{uuid.uuid4()}").json() == {
        "errors": [
            {
                "status": "404",
                "code": "not_found",
                "title": "Calendar Account Not Found",
                "detail": "The requested calendar account could not be found.",
            }
        ]
    }


def test_row_of_another_kind_is_named_by_its_own_name(as_alice):
    assert error_of(as_alice.get("/failures/account"), 404)["title"] == "Calendar Account Not Found"


@pytest.mark.parametrize("wrong", ["1", "nope", "a" * 5000, "%F0%9F%98%80", "..", "'; DROP TABLE x", "%25"])
@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_ids_that_are_no_uuids_are_404(as_alice, method, wrong):
    error_of(getattr(as_alice, method)(f"{NOTES}/{wrong}", **({} if method == "get" else {"content_type": JSON})), 404)


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/meeting", "/calendar/", "/calendar/alice/nope", "/calendars/x", "/api/v1"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
@pytest.mark.parametrize("debug", [False, True], ids=["", "with DEBUG"])
def test_unknown_paths_are_404_documents(client, settings, path, method, debug):
    settings.DEBUG = debug

    error_of(getattr(client, method)(path), 404)


@pytest.mark.parametrize("path", [f"{NOTES}%00", "/users/al%00ice/notes", "/%00"])
def test_a_nul_in_the_path_is_404(as_alice, path):
    error_of(as_alice.get(path), 404)


@pytest.mark.parametrize("query", ["search=%00", "a%00=1", "page=1&search=a%00b"])
def test_a_nul_in_the_query_is_400(as_alice, query):
    error_of(as_alice.get(f"{NOTES}?{query}"), 400)


def test_a_thousand_parameters_are_400(as_alice):
    error_of(as_alice.get(f"{NOTES}?" + "&".join(f"a{n}=1" for n in range(1001))), 400)


def test_one_trailing_slash_means_nothing_and_redirects_nobody(acme, as_alice):
    (note,) = notes(acme, "alice")

    assert as_alice.get(f"{NOTES}/").json()["data"]
    assert as_alice.get(f"{NOTES}/{note.unique_id}/").status_code == 200
    assert as_alice.post(f"{NOTES}/", FLAT, content_type=JSON).status_code == 201


def test_two_trailing_slashes_are_another_path(as_alice):
    error_of(as_alice.get(f"{NOTES}//"), 404)


def test_admin_keeps_its_slashes_and_its_pages(client):
    assert client.get("/admin").headers["Location"] == "/admin/"
    assert client.get("/admin/login/")["Content-Type"].startswith("text/html")
    assert client.get("/admin/nope/").status_code in {302, 404}


def test_paths_can_be_made_from_their_names():
    """One expression that cannot be turned round breaks `reverse` for the admin too."""
    assert reverse("openapi") == "/openapi.json"
    assert reverse("admin:index") == "/admin/"


# Users --------------------------------------------------------------------------------------------------------------

USER_IDS = [
    ("user-uuid-123", "as documented"),
    ("a%20b", "a blank"),
    ("a%2Fb", "an encoded slash"),
    ("acme/people/7", "bare slashes"),
    ("%2F%2F", "nothing but slashes"),
    ("ali.ce@acme.test", "dots and an at"),
    ("%C3%A4%F0%9F%98%80", "beyond ASCII"),
    ("notes", "a word of the route"),
    ("notes%2Fnotes", "twice a word of the route"),
    ("a%3Fb%23c%25d", "a question mark, a hash, a percent"),
    ("a%0Ab", "a line break"),
    ("x" * 255, "255 characters"),
]


@pytest.mark.parametrize("user", [row[0] for row in USER_IDS], ids=[row[1] for row in USER_IDS])
def test_users_may_be_called(as_company, user):
    made = as_company.post(f"/users/{user}/notes", FLAT, content_type=JSON)
    assert made.status_code == 201, made.content

    (found,) = as_company.get(f"/users/{user}/notes").json()["data"]
    assert found["id"] == made.json()["data"]["id"]
    assert as_company.delete(f"/users/{user}/notes/{found['id']}").status_code == 204
    assert CrmUser.objects.get().unique_id == unquote(user)


def test_too_long_a_user_id_is_422_on_write_and_nobody_on_read(as_company):
    path = f"/users/{'x' * 256}/notes"

    assert as_company.get(path).json()["data"] == []
    (error,) = as_company.post(path, FLAT, content_type=JSON).json()["errors"]
    assert (error["status"], "255" in error["detail"]) == ("422", True)


def test_reading_about_a_user_makes_none(as_company):
    as_company.get("/users/carol/notes")
    as_company.get(f"/users/carol/notes/{uuid.uuid4()}")

    assert not CrmUser.objects.exists()


# Methods ------------------------------------------------------------------------------------------------------------


def test_put_and_patch_change_what_they_name(acme, as_alice):
    (note,) = notes(acme, "alice")

    for method, title in ((as_alice.put, "put"), (as_alice.patch, "patched")):
        attributes = method(f"{NOTES}/{note.unique_id}", {"title": title}, content_type=JSON).json()["data"][
            "attributes"
        ]
        assert (attributes["title"], attributes["start_time"]) == (title, "2026-02-20T12:00:00Z")


def test_wrong_method_is_405_and_says_which_are_right(as_alice):
    response = as_alice.delete(NOTES)

    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert set(response["Allow"].split(", ")) >= {"GET", "POST"}


@pytest.mark.parametrize("debug", [False, True], ids=["", "with DEBUG"])
def test_wrong_method_of_a_plain_view_is_a_document_too(client, settings, debug):
    settings.DEBUG = debug
    response = client.post("/calendars/acme/feeds/some-token")

    error_of(response, 405)
    assert response["Allow"] == "GET"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/openapi.json", "/docs"])
def test_what_is_only_read_takes_no_other_method_and_asks_for_no_csrf_token(path, method):
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    response = client.generic(method, path)

    error_of(response, 405)
    assert "GET" in response["Allow"]


def test_a_made_up_method_is_405(as_alice):
    error_of(as_alice.generic("BREW", NOTES), 405)


def test_head_is_get_without_a_body(as_alice):
    response = as_alice.head(NOTES)

    assert (response.status_code, response["Content-Type"], response.content) == (200, JSON, b"")


def test_options_names_the_methods(as_alice):
    response = as_alice.options(NOTES)

    assert response.status_code == 200
    assert set(response.json()["meta"]["methods"]) >= {"GET", "POST", "OPTIONS"}


def test_delete_answers_204_and_nothing_else(acme, as_alice):
    (note,) = notes(acme, "alice")
    response = as_alice.delete(f"{NOTES}/{note.unique_id}")

    assert (response.status_code, response.content) == (204, b"")


# Pages --------------------------------------------------------------------------------------------------------------

PAGES = [
    ("", 15, {"current_page": 1, "total_pages": 3, "total_count": 32, "per_page": 15}, "15 a page unless told"),
    ("?page=3", 2, {"current_page": 3, "total_pages": 3, "total_count": 32, "per_page": 15}, "the last may be short"),
    ("?page=4", 0, {"current_page": 4, "total_pages": 3, "total_count": 32, "per_page": 15}, "beyond it nothing"),
    ("?page=999999999", 0, {"current_page": 999999999, "total_pages": 3}, "nor far beyond it"),
    ("?records=32", 32, {"total_pages": 1, "per_page": 32}, "as many as asked"),
    ("?records=1000", 32, {"total_pages": 1, "per_page": 100}, "but never more than 100"),
    ("?page=&records=", 15, {"current_page": 1, "per_page": 15}, "empty is as good as absent"),
]


@pytest.mark.parametrize(("query", "count", "meta"), [row[:3] for row in PAGES], ids=[row[3] for row in PAGES])
def test_pages(acme, as_alice, query, count, meta):
    notes(acme, "alice", 32)
    document = as_alice.get(NOTES + query).json()

    assert len(document["data"]) == count
    assert document["meta"] | meta == document["meta"]
    assert document["meta"]["totalPages"] == document["meta"]["total_pages"]
    assert document["meta"]["totalRecords"] == document["meta"]["total_count"]


def test_an_empty_list_has_no_pages(as_alice):
    assert as_alice.get(NOTES).json() == {
        "data": [],
        "meta": {
            "current_page": 1,
            "total_pages": 0,
            "total_count": 0,
            "per_page": 15,
            "totalPages": 0,
            "totalRecords": 0,
        },
    }


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "two", "9" * 10, "1e3", " 1", "²"])
@pytest.mark.parametrize("name", ["page", "records"])
def test_pages_are_counted_from_one(as_alice, name, value):
    response = as_alice.get(NOTES, {name: value})

    assert response.status_code == 422
    assert response.json()["errors"][0]["source"] == {"parameter": name}


# Failures -----------------------------------------------------------------------------------------------------------


def test_a_bug_is_a_document_that_says_nothing_of_it(as_alice):
    response = as_alice.get("/failures/bug")

    assert error_of(response, 500)["code"] == "internal_error"
    assert "pk_live" not in response.text
    assert "Traceback" not in response.text


@pytest.mark.parametrize("debug", [False, True], ids=["", "with DEBUG"])
def test_a_bug_in_a_plain_view_likewise(client, settings, debug):
    settings.DEBUG = debug
    client.raise_request_exception = False
    response = client.get("/calendars/acme/feeds/some-token?break")

    error_of(response, 500)
    assert "secret" not in response.text


@pytest.mark.parametrize("debug", [False, True], ids=["", "with DEBUG"])
def test_a_bug_in_a_middleware_likewise(client, settings, debug):
    settings.DEBUG = debug
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "tests.config.test_answers.broken"]
    client.raise_request_exception = False

    error_of(client.get("/health/live"), 500)


def test_a_bug_in_the_outermost_middleware_likewise(client, settings):
    settings.MIDDLEWARE = ["tests.config.test_answers.broken", *settings.MIDDLEWARE]
    client.raise_request_exception = False

    error_of(client.get("/health/live"), 500)


def broken(get_response):
    def middleware(request):
        raise ZeroDivisionError

    return middleware


def test_a_database_that_is_away_is_503_and_worth_trying_again(as_alice):
    response = as_alice.get("/failures/database")

    assert error_of(response, 503)["code"] == "service_unavailable"
    assert response["Retry-After"] == "5"


def test_any_other_database_error_is_500(as_alice):
    error_of(as_alice.get("/failures/constraint"), 500)


def test_what_no_honest_client_sends_is_400(as_alice):
    error_of(as_alice.get("/failures/suspicious"), 400)


def test_too_many_requests_is_429_and_says_how_long(as_alice):
    response = as_alice.get("/failures/throttled")

    assert error_of(response, 429)["code"] == "rate_limit_exceeded"
    assert response["Retry-After"] == "8"


@pytest.mark.parametrize("debug", [False, True], ids=["", "with DEBUG"])
@pytest.mark.parametrize("host", ["evil.test", "a b", "x" * 300, "[::1"])
def test_a_foreign_host_is_400(client, settings, host, debug):
    settings.DEBUG = debug
    error_of(client.get("/health/live", headers={"Host": host}), 400)


# Health -------------------------------------------------------------------------------------------------------------


def test_a_process_that_answers_lives(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/health/live").json() == {"status": "live"}


def test_a_process_with_a_database_is_ready(client):
    response = client.get("/health/ready")

    assert (response.status_code, response.json()["status"]) == (200, "ready")
    assert "no-cache" in response["Cache-Control"]


def test_a_process_without_a_database_is_not(client, monkeypatch):
    def fail():
        raise InterfaceError("closed")

    monkeypatch.setattr(connection, "cursor", fail)
    response = client.get("/health/ready")

    assert response.status_code == 503
    assert json.loads(response.content)["database"] == "unreachable"


def test_a_process_without_a_cache_is_ready_all_the_same(client, monkeypatch):
    def fail(*_):
        raise ConnectionError

    monkeypatch.setattr(type(caches["default"]), "get", fail)

    assert client.get("/health/ready").json() == {"status": "ready", "database": "ok", "cache": "unreachable"}


def test_health_needs_no_login_and_takes_a_slash():
    assert Client().get("/health/live/").status_code == 200
