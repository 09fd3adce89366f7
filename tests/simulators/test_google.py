"""The simulated Google keeps Google's rules, or tests over it prove nothing."""

import hashlib
import http.client
import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine
from jsonschema import ValidationError  # type: ignore[import-untyped]

from tests.proxy import Ask, Canned, Proxy
from tests.simulators.base import header_of
from tests.simulators.google import GoogleSimulator, dates, schema, timed
from tests.simulators.google.oauth import CLIENT_ID, CLIENT_SECRET
from tests.simulators.google.server import READ_EVENTS, READ_LIST, masked

ALICE = "alice@acme.example"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CALLBACK = "http://localhost/oauth/google/callback"
VERIFIER = "v" * 43
EVENTS = f"/calendar/v3/calendars/{ALICE}/events"


@pytest.fixture
def google() -> Iterator[GoogleSimulator]:
    with time_machine.travel(NOW, tick=False), GoogleSimulator() as running:
        running.add_account(ALICE)
        yield running


def ask(
    google: GoogleSimulator, method: str, path: str, *, form: Any = None, body: Any = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", google.port, timeout=10)
    sent = urlencode(form) if form is not None else json.dumps(body) if body is not None else None
    try:
        connection.request(method, path, sent, headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def api(google: GoogleSimulator, path: str, *, method: str = "GET", body: Any = None, **query: str) -> tuple[int, Any]:
    token, _ = google.grant(ALICE)
    status, _, answer = ask(google, method, f"{path}?{urlencode(query)}", body=body, Authorization=f"Bearer {token}")
    return status, json.loads(answer) if answer else None


def reason(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["error"]["errors"][0]["reason"]


# Signing in -----------------------------------------------------------------------------------------------------------


def consent(
    google: GoogleSimulator, *, answer: str = "allow", granted: tuple[str, ...] = (READ_EVENTS,), **more: str
) -> Any:
    """The parameters with which the browser comes back."""
    challenge = urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    query = {
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": f"{READ_LIST} {READ_EVENTS}",
        "state": "xyz",
        "access_type": "offline",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "login_hint": ALICE,
        **more,
    }
    status, _, page = ask(google, "GET", f"/o/oauth2/v2/auth?{urlencode(query)}")
    assert (status, ALICE in page.decode()) == (200, True)
    form = [*query.items(), ("email", ALICE), ("answer", answer), *(("granted", scope) for scope in granted)]
    status, headers, _ = ask(google, "POST", "/o/oauth2/v2/auth", form=form)
    assert (status, headers["Location"].partition("?")[0]) == (302, CALLBACK)
    return {name: values[0] for name, values in parse_qs(urlsplit(headers["Location"]).query).items()}


def token(google: GoogleSimulator, **form: str) -> tuple[int, Any]:
    own = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    status, _, answer = ask(google, "POST", "/token", form={**own, **form})
    return status, json.loads(answer)


def exchange(google: GoogleSimulator, code: str, **form: str) -> tuple[int, Any]:
    usual = {"grant_type": "authorization_code", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return token(google, code=code, **{**usual, **form})


def test_consent_leads_to_tokens_that_open_what_was_ticked_and_no_more(google: GoogleSimulator) -> None:
    back = consent(google)
    assert back["state"] == "xyz"
    status, tokens = exchange(google, back["code"])
    assert (status, tokens["scope"], tokens["token_type"]) == (200, READ_EVENTS, "Bearer")
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert ask(google, "GET", EVENTS, **bearer)[0] == 200
    status, _, refused = ask(google, "GET", "/calendar/v3/users/me/calendarList", **bearer)
    assert reason((status, json.loads(refused))) == (403, "insufficientPermissions")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"redirect_uri": "http://localhost/other"}, "redirect_uri_mismatch"),
        ({"client_secret": "guessed"}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
    ],
)
def test_code_is_worth_nothing_with_anything_else_than_it_was_asked_with(
    google: GoogleSimulator, changed: dict[str, str], error: str
) -> None:
    code = consent(google)["code"]
    assert exchange(google, code, **changed)[1]["error"] == error


def test_code_is_good_once_and_a_second_use_voids_the_first(google: GoogleSimulator) -> None:
    code = consent(google)["code"]
    _, tokens = exchange(google, code)
    assert exchange(google, code)[1]["error"] == "invalid_grant"
    assert ask(google, "GET", EVENTS, Authorization=f"Bearer {tokens['access_token']}")[0] == 401


def test_code_expires(google: GoogleSimulator) -> None:
    code = consent(google)["code"]
    with time_machine.travel(NOW + timedelta(minutes=11), tick=False):
        assert exchange(google, code)[1]["error"] == "invalid_grant"


def test_without_offline_access_there_is_no_refresh_token(google: GoogleSimulator) -> None:
    assert "refresh_token" not in exchange(google, consent(google, access_type="online")["code"])[1]


def test_refusal_comes_back_as_an_error(google: GoogleSimulator) -> None:
    assert consent(google, answer="deny") == {"state": "xyz", "error": "access_denied"}
    assert consent(google, granted=()) == {"state": "xyz", "error": "access_denied"}


@pytest.mark.parametrize(
    "changed", [{"client_id": "unknown"}, {"response_type": "token"}, {"code_challenge_method": "plain"}]
)
def test_wrong_question_is_answered_by_a_page_and_never_sent_back(google: GoogleSimulator, changed: Any) -> None:
    query = {
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK,
        "response_type": "code",
        "scope": READ_LIST,
        "code_challenge": "x",
        "code_challenge_method": "S256",
    }
    status, headers, _ = ask(google, "GET", f"/o/oauth2/v2/auth?{urlencode({**query, **changed})}")
    assert (status, "Location" in headers) == (400, False)


def test_refresh_token_stays_good_until_it_is_revoked(google: GoogleSimulator) -> None:
    refresh = exchange(google, consent(google)["code"])[1]["refresh_token"]
    first, second = (token(google, grant_type="refresh_token", refresh_token=refresh)[1] for _ in range(2))
    assert first["access_token"] != second["access_token"]
    assert ask(google, "POST", "/revoke", form={"token": refresh})[0] == 200
    assert token(google, grant_type="refresh_token", refresh_token=refresh)[1]["error"] == "invalid_grant"
    assert ask(google, "GET", EVENTS, Authorization=f"Bearer {first['access_token']}")[0] == 401
    assert ask(google, "POST", "/revoke", form={"token": refresh})[0] == 400


def test_refresh_token_of_an_app_in_testing_lives_for_seven_days(google: GoogleSimulator) -> None:
    google.oauth.testing = True
    refresh = exchange(google, consent(google)["code"])[1]["refresh_token"]
    for days, status in ((6, 200), (8, 400)):
        with time_machine.travel(NOW + timedelta(days=days), tick=False):
            assert token(google, grant_type="refresh_token", refresh_token=refresh)[0] == status


def test_access_token_expires(google: GoogleSimulator) -> None:
    access, _ = google.grant(ALICE)
    with time_machine.travel(NOW + timedelta(minutes=61), tick=False):
        assert ask(google, "GET", EVENTS, Authorization=f"Bearer {access}")[0] == 401


# Listing --------------------------------------------------------------------------------------------------------------


def sync_token(google: GoogleSimulator, **query: str) -> str:
    return str(api(google, EVENTS, **query)[1]["nextSyncToken"])


@pytest.mark.parametrize(
    "name", ["iCalUID", "orderBy", "privateExtendedProperty", "q", "sharedExtendedProperty", "timeMin", "timeMax"]
)
def test_parameters_that_a_sync_token_forbids(google: GoogleSimulator, name: str) -> None:
    token = sync_token(google)
    value = "2026-01-01T00:00:00Z" if name.startswith("time") else "x"
    answer = api(google, EVENTS, syncToken=token, **{name: value})
    assert reason(answer) == (400, "syncTokenWithRequestRestrictions")


def test_sync_token_is_bound_to_the_parameters_and_the_calendar_that_it_was_given_for(google: GoogleSimulator) -> None:
    google.add_calendar("team@acme.example", owner=ALICE)
    token = sync_token(google, maxResults="10")
    assert api(google, EVENTS, syncToken=token, maxResults="10")[0] == 200
    assert reason(api(google, EVENTS, syncToken=token)) == (400, "syncTokenWithRequestRestrictions")
    elsewhere = "/calendar/v3/calendars/team@acme.example/events"
    assert reason(api(google, elsewhere, syncToken=token, maxResults="10")) == (410, "fullSyncRequired")


def test_page_token_is_bound_to_its_question(google: GoogleSimulator) -> None:
    for number in range(3):
        google.put(ALICE, f"event{number}", timed("2026-03-02T09:00"))
    page = api(google, EVENTS, maxResults="1")[1]["nextPageToken"]
    assert reason(api(google, EVENTS, maxResults="2", pageToken=page)) == (400, "invalid")
    assert api(google, EVENTS, maxResults="1", pageToken=page)[0] == 200


def test_only_the_last_page_has_a_sync_token(google: GoogleSimulator) -> None:
    for number in range(2):
        google.put(ALICE, f"event{number}", timed("2026-03-02T09:00"))
    _, first = api(google, EVENTS, maxResults="1")
    _, last = api(google, EVENTS, maxResults="1", pageToken=first["nextPageToken"])
    assert ("nextSyncToken" in first, "nextSyncToken" in last, "nextPageToken" in last) == (False, True, False)


def test_full_listing_leaves_out_what_is_deleted_and_keeps_cancelled_instances(google: GoogleSimulator) -> None:
    google.put(ALICE, "standup", timed("2026-03-02T09:00", recurrence=["RRULE:FREQ=DAILY"]))
    google.cancel_instance(ALICE, "standup", "2026-03-04T09:00")
    google.put(ALICE, "lunch", timed("2026-03-02T12:00"))
    token = sync_token(google)
    google.delete(ALICE, "lunch")
    found = {event["id"]: event["status"] for event in api(google, EVENTS)[1]["items"]}
    assert found == {"standup": "confirmed", "standup_20260304T090000Z": "cancelled"}
    (tombstone,) = api(google, EVENTS, syncToken=token)[1]["items"]
    assert sorted(tombstone) == ["etag", "id", "kind", "status"]


@pytest.mark.parametrize(
    ("event", "shown", "because"),
    [
        (timed("2026-03-10T00:00"), True, "inside"),
        (timed("2026-02-28T23:00"), False, "ends as the window begins: its lower bound is exclusive"),
        (timed("2026-02-28T23:30"), True, "reaches into the window"),
        (timed("2026-04-01T00:00"), False, "starts as the window ends: its upper bound is exclusive"),
        (timed("2019-01-01T09:00", recurrence=["RRULE:FREQ=DAILY"]), True, "a series that goes on"),
        (timed("2019-01-01T09:00", recurrence=["RRULE:FREQ=DAILY;UNTIL=20200101"]), False, "a series that is over"),
        (dates("2026-02-28"), True, "the date is still running where the calendar is"),
    ],
)
def test_window(google: GoogleSimulator, event: Any, shown: bool, because: str) -> None:
    if "date" in event["start"]:
        google.calendars.calendars[ALICE].time_zone = "America/New_York"
    google.put(ALICE, "event1", event)
    _, page = api(google, EVENTS, timeMin="2026-03-01T00:00:00Z", timeMax="2026-04-01T00:00:00Z")
    assert bool(page["items"]) is shown, because


def test_only_the_participant_is_returned_of_many_attendees(google: GoogleSimulator) -> None:
    attendees = [
        {"email": ALICE, "self": True, "responseStatus": "declined"},
        {"email": "bob@acme.example", "responseStatus": "accepted"},
    ]
    google.put(ALICE, "event1", timed("2026-03-02T09:00", attendees=attendees))
    (event,) = api(google, EVENTS, maxAttendees="1")[1]["items"]
    assert (event["attendees"], event["attendeesOmitted"]) == (attendees[:1], True)


def test_mask_leaves_what_it_names() -> None:
    page = {"a": 1, "items": [{"id": "x", "organizer": {"self": True, "email": "y"}, "more": {"b": 1, "c": 2}}]}
    assert masked(page, "items(id,organizer/self,more(c)),d") == {
        "items": [{"id": "x", "organizer": {"self": True}, "more": {"c": 2}}]
    }


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("Events", {"kind": "calendar#events", "etag": "x", "timeZone": "UTC", "accessRole": "owner", "extra": 1}),
        ("Events", {"kind": "calendar#events", "etag": "x", "timeZone": "UTC", "accessRole": "king"}),
        ("Event", {"kind": "calendar#event", "id": "event1", "status": "confirmed"}),
        ("Event", {"kind": "calendar#event", "id": "no", "status": "cancelled"}),
        ("CalendarListEntry", {"kind": "calendar#calendarListEntry", "id": "x", "hidden": False}),
    ],
)
def test_answer_that_google_would_not_give_is_found_out(kind: str, answer: Any) -> None:
    with pytest.raises(ValidationError):
        schema.check(kind, answer)


def test_event_that_google_would_not_have_fails_the_test_that_made_it() -> None:
    def made() -> None:
        with GoogleSimulator() as google:
            google.add_account(ALICE)
            google.put(ALICE, "event1", timed("2026-03-02T09:00", status="perhaps"))
            token, _ = google.grant(ALICE)
            assert ask(google, "GET", EVENTS, Authorization=f"Bearer {token}")[0] == 500

    with pytest.raises(ValidationError):
        made()


# Push -----------------------------------------------------------------------------------------------------------------

CHANNEL = {"id": "channel-1", "type": "web_hook", "address": "https://crm.example/push", "token": "secret"}
WATCH = f"{EVENTS}/watch"


def test_channel_is_told_of_each_change_until_it_is_stopped(google: GoogleSimulator) -> None:
    received: list[Ask] = []
    with Proxy() as crm:
        crm.answer = lambda ask: received.append(ask) or Canned(200)  # type: ignore[func-returns-value]
        google.push.callbacks = google.push.plain_http = True
        status, channel = api(google, WATCH, method="POST", body={**CHANNEL, "address": f"{crm.url}push"})
        assert (status, channel["id"]) == (200, "channel-1")
        google.put(ALICE, "event1", timed("2026-03-02T09:00"))
        google.push.wait()
        stop = {"id": "channel-1", "resourceId": channel["resourceId"]}
        assert api(google, "/calendar/v3/channels/stop", method="POST", body=stop)[0] == 204
        google.put(ALICE, "event2", timed("2026-03-02T09:00"))
        google.push.wait()
    names = ("X-Goog-Resource-State", "X-Goog-Message-Number", "X-Goog-Channel-Token", "X-Goog-Channel-ID")
    assert [tuple(header_of(ask, name) for name in names) for ask in received] == [
        ("sync", "1", "secret", "channel-1"),
        ("exists", "2", "secret", "channel-1"),
    ]
    assert [ask.body for ask in received] == [b"", b""]


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"address": "http://crm.example/push"}, "push.webhookUrlNotHttps"),
        ({"id": "x" * 65}, "badRequest"),
        ({"type": "mail"}, "badRequest"),
    ],
)
def test_channel_that_google_does_not_open(google: GoogleSimulator, changed: dict[str, str], why: str) -> None:
    assert reason(api(google, WATCH, method="POST", body={**CHANNEL, **changed})) == (400, why)


def test_calendar_that_cannot_be_watched(google: GoogleSimulator) -> None:
    google.push.unwatchable.add(ALICE)
    answer = api(google, WATCH, method="POST", body=CHANNEL)
    assert reason(answer) == (400, "pushNotSupportedForRequestedResource")


def test_channel_expires_by_its_answer_whatever_was_asked_for(google: GoogleSimulator) -> None:
    _, channel = api(google, WATCH, method="POST", body={**CHANNEL, "params": {"ttl": "99999999"}})
    expires = datetime.fromtimestamp(int(channel["expiration"]) / 1000, UTC)
    assert expires == NOW + timedelta(days=30)
    with time_machine.travel(expires + timedelta(seconds=1), tick=False):
        google.put(ALICE, "event1", timed("2026-03-02T09:00"))
    assert [message["X-Goog-Resource-State"] for message in google.push.messages] == ["sync"]


def test_unknown_channel_cannot_be_stopped(google: GoogleSimulator) -> None:
    stop = {"id": "channel-1", "resourceId": "x"}
    assert reason(api(google, "/calendar/v3/channels/stop", method="POST", body=stop)) == (404, "notFound")
