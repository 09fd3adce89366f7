"""What Google's refusals mean, and that no failure ever looks like an empty calendar."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from calendars.providers import (
    CalendarGone,
    CalendarState,
    CursorLost,
    Misconfigured,
    Page,
    ProviderError,
    ReconnectNeeded,
    Snapshot,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from integrations.google import client
from integrations.http import TooLarge
from tests.contracts.contract import ALICE, Read
from tests.integrations.google import changes, provider, read, simulated_google
from tests.proxy import Canned
from tests.simulators.base import (
    Fault,
    json_answer,
    never_begun,
    never_done,
    reset,
    without,
)
from tests.simulators.google import GoogleSimulator, error, timed


@pytest.fixture
def google(settings: Settings) -> Iterator[GoogleSimulator]:
    """Five events, in pages of two."""
    with simulated_google(settings) as running:
        for number in range(5):
            running.put(ALICE, f"event{number}", timed(f"2026-03-0{number + 2}T09:00"))
        running.calendars.page_sizes = [2, 2, 2]
        yield running


def failure(answers: Iterator[Any]) -> ProviderError:
    """Why the read failed; before that it said nothing but pages."""
    try:
        for answer in answers:
            assert isinstance(answer, Page)
    except ProviderError as error_:
        return error_
    raise AssertionError("the read ended as if nothing had happened")


def newer(status: int, reason: str) -> Canned:
    """An error in the shape of Google's newer services."""
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}
    return json_answer({"error": {"code": status, "status": "PERMISSION_DENIED", "details": [detail]}}, status)


HOUR = {"Retry-After": "3600"}

REFUSALS = [
    pytest.param(error(403, "rateLimitExceeded"), Throttled, id="403 rateLimitExceeded: back off"),
    pytest.param(error(403, "userRateLimitExceeded"), Throttled, id="403 userRateLimitExceeded: back off"),
    pytest.param(error(403, "quotaExceeded"), Throttled, id="403 quotaExceeded: back off"),
    pytest.param(error(403, "dailyLimitExceeded"), Throttled, id="403 dailyLimitExceeded: back off"),
    pytest.param(newer(403, "RATE_LIMIT_EXCEEDED"), Throttled, id="403 RATE_LIMIT_EXCEEDED: back off"),
    pytest.param(error(429, "rateLimitExceeded"), Throttled, id="429 rateLimitExceeded: back off"),
    pytest.param(Canned(429, b"slow down"), Throttled, id="429 without JSON: back off"),
    pytest.param(error(403, "insufficientPermissions"), ReconnectNeeded, id="403 insufficientPermissions: reconnect"),
    pytest.param(
        newer(403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), ReconnectNeeded, id="403 scope insufficient: reconnect"
    ),
    pytest.param(error(403, "domainPolicy"), ReconnectNeeded, id="403 domainPolicy: only people can mend it"),
    pytest.param(error(403, "accessNotConfigured"), Misconfigured, id="403 accessNotConfigured: the operator's"),
    pytest.param(newer(403, "SERVICE_DISABLED"), Misconfigured, id="403 SERVICE_DISABLED: the operator's"),
    pytest.param(error(403, "somethingNew"), UnexpectedAnswer, id="403 of an unknown reason: this calendar, for now"),
    pytest.param(Canned(403, b"<html>Forbidden</html>"), UnexpectedAnswer, id="403 without JSON: for now"),
    pytest.param(json_answer({"error": "denied"}, 403), UnexpectedAnswer, id="403 of another shape: for now"),
    pytest.param(error(403, "forbidden"), CalendarGone, id="403 forbidden: the calendar is not ours any more"),
    pytest.param(error(404, "notFound"), CalendarGone, id="404 notFound: the calendar is gone"),
    pytest.param(Canned(404, b"<html>Not Found</html>"), CalendarGone, id="404 without JSON: the calendar is gone"),
    pytest.param(error(410, "fullSyncRequired"), CursorLost, id="410 fullSyncRequired: read everything"),
    pytest.param(error(410, "updatedMinTooLongAgo"), CursorLost, id="410 updatedMinTooLongAgo: read everything"),
    pytest.param(Canned(410), CursorLost, id="410 without a body: read everything"),
    pytest.param(error(400, "syncTokenWithRequestRestrictions"), CursorLost, id="400 of a sync token: read everything"),
    pytest.param(error(400, "invalid"), CursorLost, id="400 of a token that is none: read everything"),
    pytest.param(error(500, "backendError"), Unreachable, id="500: later"),
    pytest.param(Canned(502, b"<html>Bad Gateway</html>"), Unreachable, id="502: later"),
    pytest.param(error(503, "backendError"), Unreachable, id="503: later"),
    pytest.param(Canned(503, headers=HOUR), Throttled, id="503 with Retry-After: when it says"),
    pytest.param(Canned(504), Unreachable, id="504: later"),
    pytest.param(Canned(418), UnexpectedAnswer, id="any other: later"),
]


@pytest.mark.parametrize(("answer", "means"), REFUSALS)
@pytest.mark.parametrize("page", [1, 2], ids=["on page 1", "on page 2"])
def test_refusal_of_changes(google: GoogleSimulator, answer: Canned, means: type[ProviderError], page: int) -> None:
    cursor = read(google).cursor
    for number in range(5):
        google.put(ALICE, f"event{number}", timed("2026-03-20T09:00"))
    google.fail(answer, on=page)
    assert isinstance(failure(changes(google, cursor)), means)


def test_cursor_lost_on_a_later_page_voids_the_read_and_the_next_full_read_is_whole(google: GoogleSimulator) -> None:
    cursor = read(google).cursor
    for number in range(5):
        google.put(ALICE, f"event{number}", timed("2026-03-20T09:00"))
    google.before(google.lose_cursors, on=2)
    google.fail(error(410, "fullSyncRequired"), on=3)
    assert isinstance(failure(changes(google, cursor)), CursorLost)
    again = read(google)
    assert isinstance(again.end, Snapshot)
    assert len(again.resources) == 5


def test_bad_request_without_a_sync_token_is_no_lost_cursor(google: GoogleSimulator) -> None:
    google.fail(error(400, "invalid"))
    assert type(failure(changes(google))) is UnexpectedAnswer


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"Retry-After": "120"}, timedelta(seconds=120)),
        ({"Retry-After": "Sun, 01 Mar 2026 12:05:00 GMT"}, timedelta(minutes=5)),
        ({"Retry-After": "99999999999"}, timedelta(hours=6)),
    ],
    ids=["none", "seconds", "a date", "huge"],
)
@pytest.mark.parametrize("status", [403, 429])
def test_throttled_for_as_long_as_google_says(
    google: GoogleSimulator, status: int, headers: dict[str, str], wait: timedelta | None
) -> None:
    google.fail(error(status, "rateLimitExceeded", headers=headers))
    found = failure(changes(google))
    assert isinstance(found, Throttled)
    assert found.retry_after == wait


@pytest.mark.parametrize(
    ("fault", "means"),
    [
        pytest.param(never_begun, Unreachable, id="headers that never come"),
        pytest.param(never_done, Unreachable, id="a body without end"),
        pytest.param(without("nextSyncToken"), UnexpectedAnswer, id="a last page without a sync token"),
        pytest.param(json_answer([]), UnexpectedAnswer, id="a list"),
        pytest.param(json_answer({"items": "none"}), UnexpectedAnswer, id="items that are no list"),
        pytest.param(json_answer({"items": [{"status": "confirmed"}]}), UnexpectedAnswer, id="an event without an id"),
    ],
)
def test_answer_that_is_none_fails_the_read(
    google: GoogleSimulator, settings: Settings, fault: Fault, means: type[ProviderError]
) -> None:
    """Row 20."""
    settings.OUTBOUND_TIMEOUT_SECONDS = settings.OUTBOUND_DEADLINE_SECONDS = 1
    google.fail(fault, on=3)
    assert isinstance(failure(changes(google)), means)


def test_connection_that_breaks_once_is_asked_again(google: GoogleSimulator) -> None:
    google.fail(reset, on=2)
    assert len(read(google).resources) == 5


def test_page_without_items_is_an_empty_page(google: GoogleSimulator) -> None:
    google.calendars.page_sizes = [0]
    google.fail(without("items"))
    assert len(read(google).resources) == 5


def test_expired_page_token_fails_the_read_and_the_cursor_stays_good(google: GoogleSimulator) -> None:
    """Row 18."""
    cursor = read(google).cursor
    google.delete(ALICE, "event0")
    google.before(google.calendars.expire_page_tokens, on=2)
    assert isinstance(failure(changes(google)), UnexpectedAnswer)
    assert read(google, cursor).removed == ["event0"]


def test_endless_listing_is_given_up(google: GoogleSimulator) -> None:
    """Row 28."""
    google.answer = lambda ask: json_answer({"items": [], "nextPageToken": "again"})
    assert isinstance(failure(changes(google)), UnexpectedAnswer)
    assert len(google.asked) == 2


def test_listing_of_ever_new_pages_is_given_up(google: GoogleSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_MOST_PAGES", 20)
    google.answer = lambda ask: json_answer({"items": [], "nextPageToken": str(ask.number)})
    assert isinstance(failure(changes(google)), UnexpectedAnswer)
    assert len(google.asked) == 21


def test_page_larger_than_this_service_takes_is_refused(
    google: GoogleSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LARGEST_PAGE_BYTES", 500)
    assert isinstance(failure(changes(google)), TooLarge)


@pytest.mark.parametrize("cursor", ["{}", "[]", "{", '{"sync_token": "T", "window": ["a", "b"]}'])
def test_cursor_that_was_never_given_out_is_lost(google: GoogleSimulator, cursor: str) -> None:
    assert isinstance(failure(changes(google, cursor)), CursorLost)
    assert google.asked == []


# Tokens -----------------------------------------------------------------------------------------------------------


class Tokens:
    def __init__(self, google: GoogleSimulator) -> None:
        self.google, self.refused = google, list[str]()
        self.token, _ = google.grant(ALICE)

    def __call__(self, refused: str) -> str:
        if refused:
            self.refused.append(refused)
            self.token, _ = self.google.grant(ALICE)
        return self.token


def with_tokens(google: GoogleSimulator, tokens: Callable[[str], str]) -> Iterator[Any]:
    return provider(google, tokens).changes(CalendarState(external_id=ALICE))


def test_token_that_expires_between_pages_is_replaced_and_the_read_goes_on(google: GoogleSimulator) -> None:
    tokens = Tokens(google)
    google.before(google.oauth.expire_access_tokens, on=2)
    found = Read.of(with_tokens(google, tokens))
    assert (len(found.resources), len(tokens.refused), len(google.asked)) == (5, 1, 4)


def test_second_refusal_asks_to_reconnect(google: GoogleSimulator) -> None:
    google.fail(error(401, "authError"), times=2)
    assert isinstance(failure(with_tokens(google, Tokens(google))), ReconnectNeeded)
    assert len(google.asked) == 2


def test_permission_that_was_not_given_is_said(google: GoogleSimulator) -> None:
    token, _ = google.grant(ALICE, scope="https://www.googleapis.com/auth/calendar.calendarlist.readonly")
    found = failure(with_tokens(google, lambda refused: token))
    assert isinstance(found, ReconnectNeeded)
    assert "permission" in found.reason


def test_refusal_of_the_calendar_list_is_never_a_gone_calendar(google: GoogleSimulator) -> None:
    for answer in (error(403, "forbidden"), error(404, "notFound"), error(400, "invalid")):
        google.fail(answer)
        with pytest.raises(UnexpectedAnswer):
            provider(google).calendars()


def test_list_without_a_single_calendar_is_no_list(google: GoogleSimulator) -> None:
    google.fail(without("items"))
    with pytest.raises(UnexpectedAnswer):
        provider(google).calendars()


def test_nothing_of_an_error_body_is_passed_on(google: GoogleSimulator) -> None:
    for status in (400, 403, 404, 410, 500):
        body = {"error": {"message": "canary", "errors": [{"reason": "canary", "message": "canary"}]}}
        google.fail(Canned(status, json.dumps(body).encode()))
        found = failure(changes(google))
        assert "canary" not in f"{found} {found.reason}"
