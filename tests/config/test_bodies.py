"""What may be sent to the API, and how what may not is answered."""

import json

import pytest

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.config.toy"), pytest.mark.once]

NOTES = "/users/alice/notes"
FLAT = {"title": "Lunch", "start_time": "2026-02-20T12:00:00Z", "end_time": "2026-02-20T13:00:00Z"}
JSON = "application/json"
JSONAPI = "application/vnd.api+json"


def error_of(response, status):
    """The one error of a document that has nothing else."""
    assert response.status_code == status, response.content
    assert response["Content-Type"] == JSON
    document = response.json()
    assert list(document) == ["errors"]
    (error,) = document["errors"]
    assert error["status"] == str(status)
    assert error["title"]
    assert error["detail"]
    return error


WAYS = [
    (JSON, {"calendar_account": FLAT}, "wrapped, as the API document shows"),
    (JSON, FLAT, "flat, as the SDK sends some"),
    (JSON, {"data": {"type": "calendar_account", "attributes": FLAT}}, "a JSON:API document"),
    (JSONAPI, {"data": {"type": "calendar_account", "attributes": FLAT}}, "under JSON:API's own media type"),
    (JSONAPI, {"calendar_account": FLAT}, "wrapped, under JSON:API's media type"),
    ("application/json; charset=utf-8", FLAT, "with a parameter that says what is so anyway"),
    (
        JSON,
        {"calendar_account": FLAT, "title": "Not this"},
        "wrapped, with more outside of the wrapper, which does not count",
    ),
]


@pytest.mark.parametrize(("media_type", "body"), [row[:2] for row in WAYS], ids=[row[2] for row in WAYS])
def test_a_body_may_be(as_alice, media_type, body):
    response = as_alice.post(NOTES, json.dumps(body), content_type=media_type)

    assert response.status_code == 201, response.content
    assert response.json()["data"]["attributes"]["title"] == "Lunch"


def with_title(raw: str) -> bytes:
    return (json.dumps(FLAT)[:-1].replace('"Lunch"', raw) + "}").encode()


MALFORMED = [
    (b"{", "cut short"),
    (b"nonsense", "no JSON at all"),
    (b"[]", "a list"),
    (b'"text"', "a text"),
    (b"null", "null"),
    (b'{"title": "a", "title": "b"}', "the same key twice"),
    (b'{"calendar_account": {"x": {"a": 1, "a": 2}}}', "the same key twice, deep inside"),
    (b'{"title": NaN}', "NaN"),
    (b'{"title": -Infinity}', "an infinity"),
    (b'{"title": 1e999}', "an infinity in disguise"),
    (b'{"title": ' + b"9" * 5000 + b"}", "a number of 5,000 digits"),
    (json.dumps(FLAT).encode("utf-16"), "UTF-16"),
    (b'{"title": "\xe4"}', "Latin-1"),
    (with_title(r'"a\u0000b"'), "an escaped NUL"),
    (b'{"ti\\u0000tle": 1}', "a NUL in a key"),
    (b'{"metadata": [[["\\u0000"]]]}', "a NUL deep inside"),
    (with_title('"a\0b"'), "a bare NUL"),
    (with_title(r'"\ud83d"'), "half of a surrogate pair"),
    (b"[" * 100_000, "a hundred thousand brackets"),
    (b'{"a":' * 33 + b"1" + b"}" * 33, "33 levels"),
    (b'{"a":' * 900 + b"1" + b"}" * 900, "900 levels"),
]


@pytest.mark.parametrize("body", [row[0] for row in MALFORMED], ids=[row[1] for row in MALFORMED])
def test_malformed(as_alice, body):
    error = error_of(as_alice.post(NOTES, body, content_type=JSON), 400)

    assert error["code"] == "bad_request"


def test_thirty_two_levels_are_deep_enough(as_alice):
    body = json.dumps({**FLAT, "metadata": json.loads('{"a":' * 31 + "1" + "}" * 31)})

    assert as_alice.post(NOTES, body, content_type=JSON).status_code == 201


@pytest.mark.parametrize("number", [2**63, -(2**64), 10**300])
def test_numbers_of_any_size_may_be_kept_and_come_back(as_alice, number):
    """One row that could not be written would take the whole list with it."""
    assert as_alice.post(NOTES, {**FLAT, "metadata": {"n": number}}, content_type=JSON).status_code == 201

    (found,) = as_alice.get(NOTES).json()["data"]
    assert found["attributes"]["metadata"] == {"n": number}


def test_a_number_out_of_range_is_refused_without_pythons_advice(as_alice):
    error = error_of(as_alice.post(NOTES, b'{"title": ' + b"9" * 5000 + b"}", content_type=JSON), 400)

    assert "out of range" in error["detail"]
    assert "sys." not in error["detail"]


def test_whole_surrogate_pairs_and_a_byte_order_mark_are_fine(as_alice):
    body = b"\xef\xbb\xbf" + with_title(r'"\ud83d\ude00"')

    assert as_alice.post(NOTES, body, content_type=JSON).json()["data"]["attributes"]["title"] == "😀"


def test_an_error_does_not_repeat_the_body(as_alice):
    error = error_of(as_alice.post(NOTES, b'{"password": "hunter2", oops', content_type=JSON), 400)

    assert "hunter2" not in json.dumps(error)


@pytest.mark.parametrize(
    "media_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "a/b", "json"]
)
def test_other_media_are_415(as_alice, media_type):
    error = error_of(as_alice.post(NOTES, "title=Lunch", content_type=media_type), 415)

    assert error["code"] == "unsupported_media_type"
    assert "application/json" in error["detail"]


def test_a_body_of_no_stated_type_is_415(as_alice):
    error_of(as_alice.generic("POST", NOTES, b"{}", content_type=""), 415)


@pytest.mark.parametrize("content_type", ["", JSON, "application/x-www-form-urlencoded"])
def test_a_post_without_body_needs_no_type(as_company, content_type):
    assert as_company.generic("POST", "/company", b"", content_type=content_type).json() == {"message": "done"}


def test_a_body_of_blanks_is_an_empty_body(as_alice):
    assert as_alice.post("/failures/bug", b" \r\n", content_type=JSON).json()["data"] == {}


def test_too_long_a_body_is_413(as_alice, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100

    error = error_of(as_alice.post(NOTES, b" " * 101, content_type=JSON), 413)

    assert "100 bytes" in error["detail"]


def test_a_body_of_unknown_length_is_411_instead_of_being_read_as_empty(as_alice):
    response = as_alice.generic("POST", NOTES, b"", headers={"Transfer-Encoding": "chunked"})

    assert error_of(response, 411)["code"] == "length_required"


def test_each_wrong_field_is_pointed_at(as_alice):
    response = as_alice.post(NOTES, {"title": "x" * 21, "start_time": "yesterday"}, content_type=JSON)

    assert response.status_code == 422
    assert {error["source"]["pointer"] for error in response.json()["errors"]} == {
        "/data/attributes/title",
        "/data/attributes/start_time",
        "/data/attributes/end_time",
    }
    assert {error["code"] for error in response.json()["errors"]} == {"validation_error"}


ACCEPTED = [
    (None, JSON, "nothing asked for"),
    ("*/*", JSON, "anything, as curl asks"),
    (JSON, JSON, "as the SDK asks"),
    ("application/json, text/plain, */*", JSON, "as browsers' libraries ask"),
    ("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", JSON, "as a browser asks"),
    ("application/*", JSON, "any application type"),
    ("application/json;charset=utf-8", JSON, "with a parameter"),
    (JSONAPI, JSONAPI, "JSON:API by name"),
]


@pytest.mark.parametrize(("asked", "given"), [row[:2] for row in ACCEPTED], ids=[row[2] for row in ACCEPTED])
def test_media_type_of_answers(as_alice, asked, given):
    response = as_alice.get(NOTES, headers={"Accept": asked} if asked else {})

    assert response.status_code == 200
    assert response["Content-Type"] == given
    assert response.json()["data"] == []


@pytest.mark.parametrize("asked", ["text/html", "application/xml", "image/*", "nonsense", "text/calendar;q=1"])
def test_what_cannot_be_given_is_406(as_alice, asked):
    assert error_of(as_alice.get(NOTES, headers={"Accept": asked}), 406)["code"] == "not_acceptable"


def test_errors_come_in_the_media_type_asked_for(as_alice):
    response = as_alice.get(f"{NOTES}/nope", headers={"Accept": JSONAPI})

    assert (response.status_code, response["Content-Type"]) == (404, JSONAPI)
