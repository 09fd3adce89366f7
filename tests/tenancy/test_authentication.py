"""Who is let in: the AppId and the bearer token together, and what a token may reach."""

from datetime import timedelta

import jwt
import pytest
from django.test import Client
from django.utils import timezone

from tenancy import tokens
from tenancy.callers import Scope
from tenancy.models import ApiKey

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.config.toy")]

ALICE = "/users/alice/notes"


def token_of(company, user, *scopes):
    hour = timedelta(hours=1)
    return tokens.issue(company, user_unique_id=user, scopes=list(scopes), lifetime=hour, now=timezone.now())


def ask(path, *, app_id=None, authorization=None, method="GET"):
    headers = {"AppId": app_id, "Authorization": authorization}
    client = Client(raise_request_exception=False)
    return client.generic(method, path, headers={name: value for name, value in headers.items() if value is not None})


def assert_unauthorized(response):
    assert response.status_code == 401, response.content
    assert response["Content-Type"] == "application/json"
    assert response["WWW-Authenticate"] == 'Bearer realm="calendar"'
    (error,) = response.json()["errors"]
    assert (error["status"], error["code"], error["title"]) == ("401", "unauthorized", "Unauthorized")


def test_both_together_let_in(acme):
    response = ask(ALICE, app_id=ApiKey.issue(acme), authorization=f"Bearer {token_of(acme, 'alice', Scope.READ)}")

    assert response.status_code == 200


def test_the_scheme_is_written_in_any_case(acme):
    token = token_of(acme, "alice", Scope.READ)

    assert ask(ALICE, app_id=ApiKey.issue(acme), authorization=f"bearer   {token}").status_code == 200


HEADERS = [
    ("{key}", None, "no token"),
    (None, "Bearer {token}", "no AppId"),
    (None, None, "neither"),
    ("", "Bearer {token}", "an empty AppId"),
    ("{key}", "", "an empty token"),
    ("{key}", "Bearer", "a scheme without a token"),
    ("{key}", "Bearer   ", "a scheme before blanks"),
    ("{key}", "Basic YWxpY2U6cHc=", "another scheme"),
    ("{key}", "{token}", "a token without a scheme"),
    ("{key}x", "Bearer {token}", "a wrong AppId"),
    ("{token}", "Bearer {key}", "the two swapped"),
    ("{key}", "Bearer {token}x", "a token with more behind it"),
    ("{key}", "Bearer {token} {token}", "two tokens"),
    ("k\xe9y", "Bearer {token}", "an AppId beyond ASCII"),
    ("{key}", "Bearer t\xf6ken", "a token beyond ASCII"),
    ("\x00", "Bearer {token}", "an AppId that is a NUL"),
    ("x" * 100_000, "Bearer {token}", "an AppId without end"),
    ("{key}", "Bearer " + "x" * 100_000, "a token without end"),
]


@pytest.mark.parametrize(("app_id", "authorization"), [row[:2] for row in HEADERS], ids=[row[2] for row in HEADERS])
def test_not_let_in(acme, app_id, authorization):
    known = {"key": ApiKey.issue(acme), "token": token_of(acme, "alice", Scope.READ)}

    def filled(text):
        return text if text is None else text.format(**known)

    assert_unauthorized(ask(ALICE, app_id=filled(app_id), authorization=filled(authorization)))


def test_another_companys_app_id_does_not_go_with_the_token(acme, globex):
    token = token_of(acme, None, Scope.ADMIN)

    assert_unauthorized(ask(ALICE, app_id=ApiKey.issue(globex), authorization=f"Bearer {token}"))


def test_a_revoked_key_is_nobodys(acme):
    key = ApiKey.issue(acme)
    ApiKey.objects.update(active=False)

    assert_unauthorized(ask(ALICE, app_id=key, authorization=f"Bearer {token_of(acme, 'alice', Scope.READ)}"))


def test_an_answer_repeats_neither_key_nor_token(acme):
    key, token = ApiKey.issue(acme), token_of(acme, "alice", Scope.READ)
    response = ask(ALICE, app_id=key, authorization=f"Bearer {token}x")

    assert key not in response.text
    assert token not in response.text


def test_a_key_is_kept_as_a_digest_only(acme):
    key = ApiKey.issue(acme)
    (row,) = ApiKey.objects.values()

    assert key not in repr(row)
    assert key.startswith("pk_live_")
    assert key[-4:] == row["last_four"]


def test_keys_that_cannot_be_fetched_are_our_fault_and_worth_trying_again(acme):
    acme.jwks_url = "http://127.0.0.1:9/jwks.json"
    acme.save()
    tokens._key_set.cache_clear()
    token = jwt.encode({"sub": "alice", "exp": timezone.now() + timedelta(hours=1)}, "secret " * 5, "HS256")
    response = ask(ALICE, app_id=ApiKey.issue(acme), authorization=f"Bearer {token}")

    assert response.status_code == 503
    assert response["Retry-After"] == "5"
    assert response.json()["errors"][0]["code"] == "service_unavailable"


R, W, A = Scope.READ, Scope.WRITE, Scope.ADMIN
REACH = [
    # whose token, its scopes, method, path, status, sentence
    ("alice", (R,), "GET", ALICE, 200, "a user reads what is theirs"),
    ("alice", (W,), "GET", ALICE, 403, "writing does not include reading"),
    ("alice", (R,), "POST", ALICE, 403, "reading does not include writing"),
    ("alice", (R,), "DELETE", f"{ALICE}/x", 403, "nor deleting"),
    ("alice", (R, W), "POST", ALICE, 422, "a user writes what is theirs"),
    ("alice", (), "GET", ALICE, 403, "no scope grants nothing"),
    ("bob", (R, W), "GET", ALICE, 403, "another user's path is closed"),
    ("bob", (R, W), "POST", ALICE, 403, "to writing too"),
    ("Alice", (R, W), "GET", ALICE, 403, "ids are what they are, letter by letter"),
    ("alice/notes", (R,), "GET", ALICE, 403, "a longer id is another's"),
    ("bob", (A,), "GET", ALICE, 200, "an administrator reaches everybody"),
    (None, (A,), "GET", ALICE, 200, "the company with admin reaches everybody"),
    (None, (A,), "POST", ALICE, 422, "admin includes writing"),
    (None, (R, W), "GET", ALICE, 403, "the company without admin reaches nobody"),
    (None, (), "GET", ALICE, 403, "nor with nothing"),
    ("", (R, W), "GET", ALICE, 403, "an empty subject is nobody"),
    (None, (A,), "POST", "/company", 200, "the company with admin speaks for the company"),
    ("bob", (A,), "POST", "/company", 200, "so does an administrator"),
    ("alice", (R, W), "POST", "/company", 403, "a user does not"),
    (None, (R, W), "POST", "/company", 403, "nor the company without admin"),
]


@pytest.mark.parametrize(
    ("user", "scopes", "method", "path", "status"), [row[:5] for row in REACH], ids=[row[5] for row in REACH]
)
def test_reach(acme, user, scopes, method, path, status):
    response = ask(
        path, app_id=ApiKey.issue(acme), authorization=f"Bearer {token_of(acme, user, *scopes)}", method=method
    )

    assert response.status_code == status, response.content


def test_a_company_token_without_admin_is_told_what_to_ask_for(acme):
    token = token_of(acme, None, R)
    response = ask(ALICE, app_id=ApiKey.issue(acme), authorization=f"Bearer {token}")

    assert "calendars:admin" in response.json()["errors"][0]["detail"]


def test_letting_in_costs_one_query(acme, django_assert_num_queries):
    key, token = ApiKey.issue(acme), token_of(acme, "alice", R)

    with django_assert_num_queries(1):
        ask("/failures/account", app_id=key, authorization=f"Bearer {token}")
