"""Reading one calendar from servers that offer much, little, or nonsense."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from calendars.providers import (
    Answer,
    CalendarGone,
    CalendarState,
    CursorLost,
    Delta,
    Page,
    ProviderError,
    Snapshot,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from integrations.caldav import reading
from tests.contracts.contract import Read, event
from tests.integrations.simulated import CALENDAR, SimulatedServer, data, etag, gone, hrefs, multistatus, response
from tests.integrations.simulated import simulated as simulated_server
from tests.proxy import Ask, Canned

TOKEN = json.dumps({"sync_token": "before"})


@pytest.fixture
def server(settings: Settings) -> Iterator[SimulatedServer]:
    settings.OUTBOUND_ALLOWED_HOSTS = ["127.0.0.1"]
    with simulated_server() as running:
        yield running


def changes(server: SimulatedServer, cursor: str = "", known: dict[str, str] | None = None) -> Iterator[Answer]:
    state = CalendarState(external_id=server.calendar_url, cursor=cursor, etags=lambda: dict(known or {}))
    return server.provider().changes(state)


def read(server: SimulatedServer, cursor: str = "", known: dict[str, str] | None = None) -> Read:
    return Read.of(changes(server, cursor, known))


def fill(server: SimulatedServer, count: int) -> None:
    for number in range(count):
        server.put(f"e{number}.ics", event(f"u{number}", "DTSTART:20260320T090000Z"))


def bend(server: SimulatedServer, word: bytes, answer: Callable[[Ask, Canned], Canned]) -> None:
    """Questions that hold `word` get what `answer` makes of the true answer."""
    plain = server.answer
    server.proxy.answer = lambda ask: answer(ask, plain(ask)) if word in ask.body else plain(ask)


def fails_without_an_end(server: SimulatedServer, error: type[ProviderError], cursor: str = "") -> list[Page]:
    """The pages that came before the error; no Snapshot and no Delta came."""
    answers: list[Answer] = []
    with pytest.raises(error) as raised:
        answers.extend(changes(server, cursor))
    assert "alice-secret" not in raised.value.reason
    pages = [answer for answer in answers if isinstance(answer, Page)]
    assert pages == answers
    return pages


# Which questions are asked ----------------------------------------------------------------------------------------


def test_events_are_fetched_a_hundred_at_a_time(server: SimulatedServer) -> None:
    fill(server, 250)
    assert len(read(server).resources) == 250
    sizes = [len(hrefs(ask)) for ask in server.proxy.asked if b"multiget" in ask.body]
    assert sizes == [100, 100, 50]


def test_pages_come_as_they_are_fetched_so_that_memory_stays_small(server: SimulatedServer) -> None:
    fill(server, 250)
    answers = changes(server)
    next(answers)
    assert sum(b"multiget" in ask.body for ask in server.proxy.asked) == 1


def test_no_limit_is_ever_asked_for(server: SimulatedServer) -> None:
    fill(server, 3)
    read(server)
    read(server, TOKEN)
    assert not any(b"limit" in ask.body for ask in server.proxy.asked)


def test_token_read_asks_for_changes_and_for_the_changed_only(server: SimulatedServer) -> None:
    fill(server, 1)
    server.gone = [f"{CALENDAR}old.ics"]
    found = read(server, TOKEN)
    assert server.proxy.methods() == ["REPORT", "REPORT"]
    assert b"<D:sync-token>before</D:sync-token>" in server.proxy.asked[0].body
    assert isinstance(found.end, Delta)
    assert (list(found.resources), found.removed) == (["e0.ics"], ["old.ics"])
    assert json.loads(found.cursor) == {"sync_token": "now"}


def test_listing_that_the_server_cuts_is_read_to_its_end(server: SimulatedServer) -> None:
    fill(server, 7)
    server.cut = 3
    found = read(server)
    assert isinstance(found.end, Snapshot)
    assert len(found.resources) == 7
    listings = [ask.body for ask in server.proxy.asked if b"sync-collection" in ask.body]
    assert [token in body for token, body in zip((b"token></D", b"from-3", b"from-6"), listings, strict=True)] == [
        True
    ] * 3


def test_listing_that_is_cut_at_the_same_place_again_and_again_is_an_error(server: SimulatedServer) -> None:
    cut = gone(CALENDAR, status="HTTP/1.1 507 Insufficient Storage")
    bend(server, b"sync-collection", lambda ask, true: multistatus(cut, token="same"))
    fails_without_an_end(server, UnexpectedAnswer)
    assert len(server.proxy.asked) == 3


def test_listing_that_is_wholly_refused_for_its_size_is_an_error(server: SimulatedServer) -> None:
    bend(server, b"sync-collection", lambda ask, true: Canned(507))
    fails_without_an_end(server, UnexpectedAnswer)


def test_same_ctag_costs_one_request_and_brings_nothing(server: SimulatedServer) -> None:
    server.tokens, server.ctag = False, "v1"
    fill(server, 2)
    first = read(server)
    assert isinstance(first.end, Snapshot)
    assert json.loads(first.cursor) == {"ctag": "v1"}
    server.proxy.forget()
    second = read(server, first.cursor)
    assert server.proxy.methods() == ["PROPFIND"]
    assert (second.end, second.pages) == (Delta(cursor=first.cursor), 0)


def test_another_ctag_fetches_only_events_of_another_etag(server: SimulatedServer) -> None:
    server.tokens, server.ctag = False, "v2"
    fill(server, 3)
    server.put("e1.ics", event("u1", "DTSTART:20260321T090000Z"), version=2)
    known = {"e0.ics": '"1"', "e1.ics": '"1"', "gone.ics": '"1"'}
    answers = list(changes(server, json.dumps({"ctag": "v1"}), known))
    assert answers[0] == Page(present=("e0.ics",))
    found = Read.of(answers)
    assert set(found.resources) == {"e1.ics", "e2.ics"}
    # What is gone is not named: only the end says that everything else is not there.
    assert (found.removed, found.end) == ([], Snapshot(cursor=json.dumps({"ctag": "v2"})))


def test_long_listing_is_told_in_pages_of_a_bounded_size(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "IDS_A_PAGE", 4)
    fill(server, 10)
    known = {f"e{number}.ics": '"1"' for number in range(10)}
    told = [answer.present for answer in changes(server, known=known) if isinstance(answer, Page)]
    assert [len(page) for page in told] == [4, 4, 2]
    assert {id_ for page in told for id_ in page} == set(known)


def test_server_without_tokens_and_ctag_is_listed_with_one_request(server: SimulatedServer) -> None:
    server.tokens = False
    fill(server, 3)
    first = read(server)
    assert json.loads(first.cursor) == {}
    server.proxy.forget()
    second = read(server, first.cursor, known={f"e{number}.ics": '"1"' for number in range(3)})
    assert server.proxy.methods() == ["PROPFIND"]
    assert (second.resources, second.end) == ({}, Snapshot(cursor="{}"))


@pytest.mark.parametrize("status", [400, 403, 405, 415, 501])
def test_tokens_that_are_announced_and_then_refused_are_done_without(server: SimulatedServer, status: int) -> None:
    server.ctag = "v1"
    fill(server, 2)
    bend(server, b"sync-collection", lambda ask, true: Canned(status))
    if status == 501:
        fails_without_an_end(server, Unreachable)
        return
    found = read(server)
    assert (len(found.resources), found.end) == (2, Snapshot(cursor=json.dumps({"ctag": "v1"})))


def test_full_read_does_not_fetch_again_what_is_known_by_its_etag(server: SimulatedServer) -> None:
    fill(server, 3)
    answers = list(changes(server, known={"e0.ics": '"1"', "e1.ics": '"old"'}))
    assert answers[0] == Page(present=("e0.ics",))
    assert set(Read.of(answers).resources) == {"e1.ics", "e2.ics"}
    assert isinstance(answers[-1], Snapshot)


# What cursors may become ------------------------------------------------------------------------------------------

TOKEN_UNKNOWN = b'<?xml version="1.0"?><D:error xmlns:D="DAV:"><D:valid-sync-token/></D:error>'


@pytest.mark.parametrize("status", [403, 409, 412])
def test_unknown_token_is_a_lost_cursor(server: SimulatedServer, status: int) -> None:
    bend(server, b"sync-collection", lambda ask, true: Canned(status, TOKEN_UNKNOWN))
    fails_without_an_end(server, CursorLost, TOKEN)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>Forbidden</html>",
        b'<?xml version="1.0"?><D:error xmlns:D="DAV:"><D:need-privileges/></D:error>',
        b'<!DOCTYPE x [<!ENTITY y "z">]><D:error xmlns:D="DAV:">&y;</D:error>',
    ],
)
def test_bare_403_is_not_a_lost_cursor(server: SimulatedServer, body: bytes) -> None:
    bend(server, b"sync-collection", lambda ask, true: Canned(403, body))
    fails_without_an_end(server, UnexpectedAnswer, TOKEN)


def test_cursor_of_another_making_is_lost(server: SimulatedServer) -> None:
    for cursor in ("not json", "[]", '"text"'):
        with pytest.raises(CursorLost):
            read(server, cursor)
    assert server.proxy.asked == []


@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("cursor", ["", TOKEN, '{"ctag": "v1"}', "{}"])
def test_calendar_that_is_not_there_is_gone(server: SimulatedServer, status: int, cursor: str) -> None:
    server.proxy.answer = lambda ask: Canned(status)
    fails_without_an_end(server, CalendarGone, cursor)


def test_listing_without_a_token_is_an_error(server: SimulatedServer) -> None:
    bend(server, b"sync-collection", lambda ask, true: multistatus())
    fails_without_an_end(server, UnexpectedAnswer, TOKEN)


# Whose events are meant -------------------------------------------------------------------------------------------


def listing(*paths: str) -> Canned:
    return multistatus(*(response(path, etag('"1"')) for path in paths), token="now")


def test_the_collection_itself_and_folders_below_it_are_no_events(server: SimulatedServer) -> None:
    bend(
        server,
        b"sync-collection",
        lambda ask, true: listing(CALENDAR, CALENDAR.rstrip("/"), f"{CALENDAR}folder/"),
    )
    assert read(server).resources == {}
    assert not any(b"multiget" in ask.body for ask in server.proxy.asked)


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param("/dav/alice/work/{}", id="as it is"),
        pytest.param("/dav/alice//work/{}", id="a slash too many"),
        pytest.param("/d%61v/alice/work/{}", id="encoded without need"),
        pytest.param("https://inner.example:8443/dav/alice/work/{}", id="another scheme, host and port"),
        pytest.param("//inner.example/dav/alice/work/{}", id="another host"),
    ],
)
def test_events_are_known_by_their_path_however_it_is_spelt(server: SimulatedServer, spelling: str) -> None:
    href = spelling.format("a%20b%C3%A9.ics")
    bend(server, b"sync-collection", lambda ask, true: listing(href))
    there = "/dav/alice/work/a%20b%c3%a9.ics"
    bend_events = response(there, etag('"1"') + data(event("u", "DTSTART:20260320")))
    plain = server.proxy.answer
    server.proxy.answer = lambda ask: multistatus(bend_events) if b"multiget" in ask.body else plain(ask)
    assert list(read(server).resources) == ["a bé.ics"]
    # It is asked for as the server wrote it.
    assert hrefs(server.proxy.asked[-1]) == [href]


@pytest.mark.parametrize("path", ["/dav/alice/private/e.ics", "/dav/bob/work/e.ics", "/e.ics", ""])
def test_event_that_lies_elsewhere_is_an_error_and_not_passed_over(server: SimulatedServer, path: str) -> None:
    bend(server, b"sync-collection", lambda ask, true: listing(path))
    assert fails_without_an_end(server, UnexpectedAnswer) == []


def test_long_name_is_folded_and_fetched_by_its_own(server: SimulatedServer) -> None:
    name = "n" * 700 + ".ics"
    server.put(name, event("u", "DTSTART:20260320T090000Z"))
    (id_,) = read(server).resources
    assert len(id_) == 512


# What comes back for them -----------------------------------------------------------------------------------------


def test_event_that_the_server_leaves_out_is_an_error_and_never_a_deletion(server: SimulatedServer) -> None:
    fill(server, 3)
    bend(server, b"multiget", lambda ask, true: multistatus(*(server.event(href) for href in hrefs(ask)[1:])))
    assert fails_without_an_end(server, UnexpectedAnswer) == []


def test_event_that_was_not_asked_for_is_an_error(server: SimulatedServer) -> None:
    fill(server, 1)
    stray = response(f"{CALENDAR}stray.ics", etag('"1"') + data(event("s", "DTSTART:20260320")))
    bend(server, b"multiget", lambda ask, true: multistatus(server.event(hrefs(ask)[0]), stray))
    fails_without_an_end(server, UnexpectedAnswer)


def test_event_deleted_between_listing_and_fetching_is_removed(server: SimulatedServer) -> None:
    fill(server, 2)
    bend(server, b"multiget", lambda ask, true: multistatus(server.event(hrefs(ask)[0]), gone(hrefs(ask)[1])))
    found = read(server)
    assert (list(found.resources), found.removed) == (["e0.ics"], ["e1.ics"])


def test_event_without_its_text_by_a_404_of_the_property_is_removed(server: SimulatedServer) -> None:
    fill(server, 1)
    missing = response(f"{CALENDAR}e0.ics", "<D:getetag/><C:calendar-data/>", status="HTTP/1.1 404 Not Found")
    bend(server, b"multiget", lambda ask, true: multistatus(missing))
    assert read(server).removed == ["e0.ics"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(
            response(f"{CALENDAR}e0.ics", "<C:calendar-data/>", status="HTTP/1.1 403 Forbidden"),
            "The server does not hand it out (403).",
            id="a text that is refused",
        ),
        pytest.param(
            gone(f"{CALENDAR}e0.ics", status="HTTP/1.1 500 Oops"),
            "The server does not hand it out (500).",
            id="an event that the server fails at",
        ),
        pytest.param(response(f"{CALENDAR}e0.ics", etag('"1"')), "It has no text.", id="no text"),
        pytest.param(
            response(f"{CALENDAR}e0.ics", etag('"1"') + data("")), "It is not an iCalendar object.", id="an empty text"
        ),
        pytest.param(
            response(f"{CALENDAR}e0.ics", etag('"1"') + data(event("u", "DTSTART:never"))),
            "'never' is not a time.",
            id="a text that is not understood",
        ),
    ],
)
def test_unreadable_event_is_withheld_and_the_others_are_read(
    server: SimulatedServer, answer: str, reason: str
) -> None:
    fill(server, 2)
    bend(server, b"multiget", lambda ask, true: multistatus(answer, server.event(f"{CALENDAR}e1.ics")))
    found = read(server)
    assert found.withheld == {"e0.ics": reason}
    assert list(found.resources) == ["e1.ics"]
    assert isinstance(found.end, Snapshot)


def test_task_is_a_resource_without_entries(server: SimulatedServer) -> None:
    server.put("task.ics", "BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:t\r\nEND:VTODO\r\nEND:VCALENDAR\r\n")
    found = read(server)
    assert found.resources["task.ics"].entries == ()
    assert found.withheld == {}


def test_control_characters_that_xml_has_no_way_to_write_are_dropped(server: SimulatedServer) -> None:
    server.put("odd.ics", event("u", "DTSTART:20260320T090000Z", "SUMMARY:a\x0bb&#x1F;c"))
    bend(server, b"multiget", lambda ask, true: Canned(207, true.body.replace(b"&amp;#x1F;", b"&#x1F;")))
    (entry,) = read(server).resources["odd.ics"].entries
    assert entry.title == "abc"


def test_batch_that_is_too_large_is_fetched_in_halves_down_to_the_event_that_is(
    server: SimulatedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGEST_BATCH_BYTES", 4_000)
    fill(server, 4)
    server.put("large.ics", event("large", "DTSTART:20260320T090000Z", f"DESCRIPTION:{'x' * 8_000}"))
    found = read(server)
    assert set(found.resources) == {f"e{number}.ics" for number in range(4)}
    assert found.withheld == {"large.ics": "The answer is larger than 3 KiB."}


def test_halving_ends_where_everything_is_too_large(server: SimulatedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST_BATCH_BYTES", 100)
    fill(server, 100)
    fails_without_an_end(server, UnexpectedAnswer)
    assert len(server.proxy.asked) < 80


# Hostile and broken answers ---------------------------------------------------------------------------------------

BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(10))
    + b']><D:multistatus xmlns:D="DAV:"><D:response><D:href>&k;</D:href></D:response></D:multistatus>'
)
XXE = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
    b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>&file;</D:href></D:response></D:multistatus>'
)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(BOMB, id="entities that unfold to a billion"),
        pytest.param(BOMB.decode().encode("utf-16"), id="the same in UTF-16"),
        pytest.param(XXE, id="an entity that is a file of ours"),
        pytest.param(b"<a>" * 10_000 + b"</a>" * 10_000, id="ten thousand deep"),
        pytest.param(b"<html><body>Please sign in</body></html>", id="a web page"),
        pytest.param(b"<!DOCTYPE html><html><br></html>", id="a web page that is no XML"),
        pytest.param(b'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response>', id="half an answer"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00\x01\x02", id="noise"),
    ],
)
@pytest.mark.parametrize("question", [b"sync-collection", b"multiget", b"supported-report-set"])
def test_answer_that_is_no_multistatus_ends_the_read(server: SimulatedServer, question: bytes, body: bytes) -> None:
    fill(server, 2)
    bend(server, question, lambda ask, true: Canned(207, body))
    assert fails_without_an_end(server, UnexpectedAnswer) == []


@pytest.mark.parametrize("status", [200, 204, 302, 400, 403])
def test_answer_of_another_status_ends_the_read(server: SimulatedServer, status: int) -> None:
    fill(server, 2)
    bend(server, b"multiget", lambda ask, true: Canned(status, true.body))
    assert fails_without_an_end(server, UnexpectedAnswer) == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(Canned(503, headers={"Retry-After": "120"}), Throttled, id="asked to come back later"),
        pytest.param(Canned(500), Unreachable, id="the server fails"),
        pytest.param(Canned(207, b"<D:multi", promised=9_999), Unreachable, id="the body is cut off"),
    ],
)
def test_failure_on_the_second_page_ends_the_read_after_the_first(
    server: SimulatedServer, answer: Canned, error: type[ProviderError]
) -> None:
    fill(server, 150)
    bend(server, b"multiget", lambda ask, true: true if len(hrefs(ask)) == 100 else answer)
    (page,) = fails_without_an_end(server, error)
    assert len(page.resources) == 100


def test_addresses_in_answers_are_never_called(server: SimulatedServer) -> None:
    with simulated_server() as stranger:
        href = f"{stranger.proxy.url}dav/alice/work/e0.ics"
        bend(server, b"sync-collection", lambda ask, true: listing(href))
        bend_event = response(href, etag('"1"') + data(event("u", "DTSTART:20260320")))
        plain: Any = server.proxy.answer
        server.proxy.answer = lambda ask: multistatus(bend_event) if b"multiget" in ask.body else plain(ask)
        assert list(read(server).resources) == ["e0.ics"]
        assert stranger.proxy.asked == []
