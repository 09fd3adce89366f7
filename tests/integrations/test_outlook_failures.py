"""What each way to fail means: which error it is, and that none of them ends as a completed reading."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from pytest_django import Settings

from calendars.providers import (
    CalendarGone,
    CalendarState,
    CursorLost,
    ProviderError,
    ReconnectNeeded,
    ServerFault,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from integrations.outlook import graph as graph_module
from tests.contracts.contract import Read
from tests.integrations.outlook import NOW, changes, fails_without_an_end, provider, read, simulated_graph
from tests.proxy import Canned
from tests.simulators.base import Fault, as_html, never_begun, never_done, reset, truncated, without
from tests.simulators.graph import GraphSimulator
from tests.simulators.graph.server import edited, error, throttled

DELTA = "calendarView/delta"
LINKS = ("@odata.nextLink", "@odata.deltaLink")


@pytest.fixture
def graph(settings: Settings) -> Iterator[GraphSimulator]:
    with simulated_graph(settings, page_size=2) as running:
        for number in range(7):
            running.alice.put("work", f"event-{number}", f"2026-03-2{number}T09:00", subject=f"Event {number}")
        yield running


# A reset, or a broken answer on a connection that had been kept, is asked for once more: it has to happen twice.
FAULTS: list[tuple[str, Fault, type[ProviderError], int]] = [
    ("500", error(500, "InternalServerError"), ServerFault, 1),
    ("502 of a gateway", Canned(502, b"<html>Bad Gateway</html>"), ServerFault, 1),
    ("503 without a word on when", error(503, "ServiceUnavailable"), ServerFault, 1),
    ("504", error(504, "GatewayTimeout"), ServerFault, 1),
    ("a broken connection", reset, Unreachable, 2),
    ("no list in the answer", without("value"), UnexpectedAnswer, 1),
    ("neither of the links", edited(lambda body: [body.pop(name, None) for name in LINKS]), UnexpectedAnswer, 1),
    ("a list of what are no events", edited(lambda body: body.update(value=[1])), UnexpectedAnswer, 1),
    ("an event without an id", edited(lambda body: body.update(value=[{"subject": "?"}])), UnexpectedAnswer, 1),
    ("400", error(400, "ErrorInvalidRequest"), UnexpectedAnswer, 1),
    ("429 with seconds", throttled("30"), Throttled, 1),
    ("429 without a word on when", throttled(None), Throttled, 1),
    ("503 with a word on when", throttled("30", status=503), Throttled, 1),
    ("403 for a calendar of another's", error(403, "ErrorAccessDenied"), CalendarGone, 1),
    ("404", error(404, "ErrorItemNotFound"), CalendarGone, 1),
    ("no mailbox behind the account", error(404, "MailboxNotEnabledForRESTAPI"), ReconnectNeeded, 1),
    ("410 SyncStateNotFound", error(410, "SyncStateNotFound"), CursorLost, 1),
    ("410 in small letters", error(410, "syncStateNotFound"), CursorLost, 1),
    ("410 resyncRequired", error(410, "resyncRequired"), CursorLost, 1),
    ("410 in other letters", error(410, "ResyncRequired"), CursorLost, 1),
    ("410 without JSON", Canned(410, b"Gone"), CursorLost, 1),
    ("401 twice", error(401, "InvalidAuthenticationToken"), ReconnectNeeded, 2),
]  # fmt: skip


@pytest.mark.parametrize("page", [1, 3], ids=["on the first page", "on the third page"])
@pytest.mark.parametrize(
    ("fault", "wanted", "times"), [(*rest,) for _, *rest in FAULTS], ids=[name for name, *_ in FAULTS]
)
def test_failure_has_its_class_and_ends_nothing(
    graph: GraphSimulator, page: int, fault: Fault, wanted: type[ProviderError], times: int
) -> None:
    graph.fail(fault, on=page, times=times, path=DELTA)
    failure = fails_without_an_end(changes(graph), wanted)
    assert type(failure) is wanted
    assert len(graph.asked_for(DELTA)) <= page + 1


@pytest.mark.parametrize("fault", [never_begun, never_done], ids=["no headers", "no end of the body"])
def test_answer_that_does_not_come_in_time_is_unreachable(
    graph: GraphSimulator, settings: Settings, fault: Fault
) -> None:
    """Row 20."""
    settings.OUTBOUND_TIMEOUT_SECONDS = settings.OUTBOUND_DEADLINE_SECONDS = 0.2
    graph.fail(fault, on=2, times=2, path=DELTA)
    fails_without_an_end(changes(graph), Unreachable)


@pytest.mark.parametrize(
    ("text", "wait"),
    [
        pytest.param("30", timedelta(seconds=30), id="seconds"),
        pytest.param("Mon, 02 Mar 2026 08:02:00 GMT", timedelta(minutes=2), id="a date"),
        pytest.param("0", timedelta(seconds=1), id="at once is a second"),
        pytest.param("99999999", timedelta(hours=6), id="a year is six hours"),
        pytest.param("soon", None, id="no number and no date"),
    ],
)
def test_throttled_says_how_long_within_reason(graph: GraphSimulator, text: str, wait: timedelta | None) -> None:
    graph.fail(throttled(text), on=2, path=DELTA)
    failure = fails_without_an_end(changes(graph), Throttled)
    assert isinstance(failure, Throttled)
    assert failure.retry_after == wait


def test_refused_token_is_replaced_once_and_the_reading_goes_on(graph: GraphSimulator) -> None:
    tokens, refused = [graph.sign_in.access_token()], []

    def access_token(old: str) -> str:
        if old:
            refused.append(old)
            tokens.append(graph.sign_in.access_token())
        return tokens[-1]

    graph.before(graph.sign_in.expire_access_tokens, on=3, path=DELTA)
    state = CalendarState(external_id=graph.alice.calendar("work").id)
    assert len(Read.of(provider(graph, access_token).changes(state)).resources) == 7
    assert refused == tokens[:1]


def test_expired_link_to_the_next_page_is_a_lost_cursor(graph: GraphSimulator) -> None:
    """Row 18."""
    graph.before(graph.expire_pages, on=3, path=DELTA)
    fails_without_an_end(changes(graph), CursorLost)


def test_links_in_a_circle_do_not_end_as_a_completed_reading(graph: GraphSimulator) -> None:
    """Row 28."""
    first: list[str] = []

    def back(body: dict[str, object]) -> None:
        first.append(str(body["@odata.nextLink"]))
        body["@odata.nextLink"] = first[0]

    graph.fail(edited(back), times=3, path=DELTA)
    fails_without_an_end(changes(graph), UnexpectedAnswer)
    assert len(graph.asked_for(DELTA)) == 2


def test_links_without_end_stop_at_the_ceiling(graph: GraphSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "MOST_PAGES", 3)
    fails_without_an_end(changes(graph), UnexpectedAnswer)
    assert len(graph.asked_for(DELTA)) == 3


def test_reading_that_takes_too_long_stops_without_an_end(graph: GraphSimulator) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        graph.before(lambda: clock.shift(timedelta(hours=1)), on=2, path=DELTA)
        fails_without_an_end(changes(graph), UnexpectedAnswer)
    assert len(graph.asked_for(DELTA)) == 2


@pytest.mark.parametrize(
    "address",
    ["https://graph.example/v1.0/me", "http://127.0.0.1:1/v1.0/me", "//evil.example/x", "http://[", 7],
    ids=["another host", "another port", "no scheme", "no address", "no text"],
)
@pytest.mark.parametrize("link", LINKS)
def test_links_are_followed_only_at_home(graph: GraphSimulator, link: str, address: object) -> None:
    def elsewhere(body: dict[str, object]) -> None:
        for name in LINKS:
            body.pop(name, None)
        body[link] = address

    graph.fail(edited(elsewhere), path=DELTA)
    fails_without_an_end(changes(graph), UnexpectedAnswer)
    assert len(graph.asked) == 1


def test_cursor_that_leads_elsewhere_means_a_full_read(graph: GraphSimulator, settings: Settings) -> None:
    cursor = read(graph).cursor
    with simulated_graph(settings) as other:
        other.alice.put("work", "lunch", "2026-03-20T12:00")
        assert len(read(other, cursor).resources) == 1


def test_messages_of_the_vendor_are_not_passed_on(graph: GraphSimulator) -> None:
    graph.fail(error(400, "Error<script>", "The token graph-secret is odd."), path=DELTA)
    failure = fails_without_an_end(changes(graph), UnexpectedAnswer)
    assert "secret" not in str(failure)
    assert "script" not in str(failure)


def test_list_of_calendars_that_is_refused_asks_to_connect_again(graph: GraphSimulator) -> None:
    graph.fail(error(403, "ErrorAccessDenied"))
    with pytest.raises(ReconnectNeeded):
        provider(graph).calendars()


@pytest.mark.parametrize("fault", [without("value"), truncated, as_html], ids=["no list", "half", "a page for people"])
def test_broken_list_of_calendars_is_not_an_empty_one(graph: GraphSimulator, fault: Fault) -> None:
    graph.fail(fault)
    with pytest.raises(UnexpectedAnswer):
        provider(graph).calendars()
