"""Rounds of changes: what pages, repetitions, removals and series come to."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from pytest_django import Settings

from calendars.providers import Delta, Snapshot
from integrations.outlook.graph import PREFER
from tests.integrations.outlook import (
    NOW,
    Ledger,
    provider,
    read,
    row,
    rows_of,
    simulated_graph,
    titles,
)
from tests.simulators.base import header_of, path_of, query_of
from tests.simulators.graph import GraphSimulator
from tests.simulators.graph.mailbox import Instance
from tests.simulators.graph.server import edited, error

DELTA, EVENTS = "calendarView/delta", "/events/"
LONG_AGO = datetime(2020, 1, 1, 9, tzinfo=UTC)


@pytest.fixture
def graph(settings: Settings) -> Iterator[GraphSimulator]:
    with simulated_graph(settings) as running:
        yield running


def standup(graph: GraphSimulator, **facts: Any) -> None:
    """Ten Mondays at nine, from 2 March on."""
    graph.alice.put_series("work", "standup", "2026-03-02T09:00", count=10, **{"subject": "Standup", **facts})


# Requests ------------------------------------------------------------------------------------------------------------


def test_every_request_carries_the_headers_that_tokens_are_bound_to(graph: GraphSimulator) -> None:
    graph.page_size = 2
    standup(graph)
    first = read(graph)
    graph.alice.delete_occurrence("work", "standup", 2)
    read(graph, first.cursor, mirrored=rows_of(graph))
    assert {header_of(ask, "Prefer") for ask in graph.asked} == {PREFER}
    assert "ImmutableId" in PREFER


def test_first_read_asks_once_a_page_and_links_are_used_as_they_are(graph: GraphSimulator) -> None:
    graph.page_size = 3
    standup(graph)
    graph.alice.put("work", "lunch", "2026-03-20T12:00")
    assert len(read(graph).resources) == 11
    # A master and ten occurrences and a single event.
    assert [path_of(ask).rpartition("/")[2] for ask in graph.asked] == ["delta"] * 4


def test_reading_asks_one_thing_at_a_time(graph: GraphSimulator) -> None:
    graph.page_size = 3
    standup(graph)
    read(graph)
    assert len(graph.connections) == 1


def test_no_change_is_one_request(graph: GraphSimulator) -> None:
    standup(graph)
    ledger = Ledger(graph)
    ledger.sync()
    graph.forget()
    ledger.sync()
    assert len(graph.asked) == 1


def test_changed_event_is_one_request(graph: GraphSimulator) -> None:
    graph.alice.put("work", "lunch", "2026-03-20T12:00")
    ledger = Ledger(graph)
    ledger.sync()
    graph.alice.put("work", "lunch", "2026-03-20T13:00")
    graph.forget()
    ledger.sync()
    assert len(graph.asked) == 1


def test_calendars_are_listed_over_pages_with_the_default_one_marked(graph: GraphSimulator) -> None:
    graph.page_size = 2
    for number in range(4):
        graph.alice.add_calendar(f"calendar-{number}")
    found = provider(graph).calendars()
    assert [calendar.name for calendar in found] == ["work", *(f"calendar-{number}" for number in range(4))]
    assert [calendar.name for calendar in found if calendar.primary] == ["work"]
    assert len(graph.asked) == 3


def test_calendar_that_another_shares_is_not_mirrored_unasked(graph: GraphSimulator) -> None:
    graph.alice.add_calendar("bob's")

    def shared(body: dict[str, Any]) -> None:
        body["value"][1]["owner"] = {"name": "Bob", "address": "bob@acme.example"}

    graph.fail(edited(shared))
    assert {calendar.name: calendar.wanted for calendar in provider(graph).calendars()} == {
        "work": True,
        "bob's": False,
    }


# Pages ---------------------------------------------------------------------------------------------------------------


def test_empty_page_with_a_link_is_not_the_end(graph: GraphSimulator) -> None:
    graph.empty_first = True
    graph.alice.put("work", "lunch", "2026-03-20T12:00")
    found = read(graph)
    assert (len(found.resources), len(graph.asked)) == (1, 2)


def test_item_that_repeats_counts_once(graph: GraphSimulator) -> None:
    graph.page_size, graph.repeats = 2, True
    for number in range(5):
        graph.alice.put("work", f"event-{number}", f"2026-03-2{number}T09:00", subject=f"Event {number}")
    ledger = Ledger(graph)
    ledger.sync()
    assert sorted(entry.title for entry in ledger.rows.values()) == [f"Event {number}" for number in range(5)]


def test_of_an_item_that_changes_between_pages_the_last_word_counts(graph: GraphSimulator) -> None:
    graph.page_size = 1
    for name in ("one", "two", "three"):
        graph.alice.put("work", name, "2026-03-20T12:00", subject="Before")
    graph.before(lambda: graph.alice.put("work", "one", "2026-03-20T13:00", subject="After"), on=2, path=DELTA)
    graph.before(lambda: graph.alice.delete("work", "three"), on=2, path=DELTA)
    ledger = Ledger(graph)
    ledger.sync()
    ledger.sync()
    assert sorted(entry.title for entry in ledger.rows.values()) == ["After", "Before"]


def test_twice_in_one_page_the_last_word_counts(graph: GraphSimulator) -> None:
    """Row 28."""
    graph.alice.put("work", "lunch", "2026-03-20T12:00", subject="Second")

    def twice(body: dict[str, Any]) -> None:
        (item,) = body["value"]
        body["value"] = [{**item, "subject": "First"}, {"id": item["id"], "@removed": {"reason": "deleted"}}, item]

    graph.fail(edited(twice))
    found = read(graph)
    assert (titles(found), found.removed) == (["Second"], [])


def test_event_that_cannot_be_understood_is_withheld_and_the_calendar_goes_on(graph: GraphSimulator) -> None:
    custom = {"dateTime": "2026-03-20T09:00:00.0000000", "timeZone": "tzone://Microsoft/Custom"}
    graph.alice.put("work", "odd", "2026-03-20T09:00", start=custom)
    graph.alice.put("work", "lunch", "2026-03-20T12:00", subject="Lunch")
    found = read(graph)
    assert isinstance(found.end, Snapshot)
    assert titles(found) == ["Lunch"]
    assert list(found.withheld) == [graph.alice.id_of("work", "odd")]


# Removals ------------------------------------------------------------------------------------------------------------


def test_deleted_event_is_removed(graph: GraphSimulator) -> None:
    graph.alice.put("work", "lunch", "2026-03-20T12:00")
    ledger = Ledger(graph)
    ledger.sync()
    graph.alice.delete("work", "lunch")
    ledger.sync()
    assert not ledger.rows


def test_event_that_moved_out_of_the_window_does_not_stay_where_it_was(graph: GraphSimulator) -> None:
    graph.alice.put("work", "lunch", "2026-03-20T12:00")
    ledger = Ledger(graph)
    ledger.sync()
    graph.alice.put("work", "lunch", "2031-03-20T12:00")
    ledger.sync()
    assert not ledger.rows


def test_removal_leaves_a_row_from_before_the_window_alone(graph: GraphSimulator) -> None:
    """Graph names what is changed outside of the window as removed, too; that event may well exist."""
    first = read(graph)
    graph.alice.put("work", "last year", "2024-03-20T12:00", subject="Changed a little")
    old = row(graph.alice.id_of("work", "last year"), datetime(2024, 3, 20, 12, tzinfo=UTC))
    found = read(graph, first.cursor, mirrored=[old])
    assert isinstance(found.end, Delta)
    assert found.removed == []


def test_removal_of_an_event_that_nobody_mirrored_is_passed_on(graph: GraphSimulator) -> None:
    """It may have been withheld."""
    first = read(graph)
    graph.alice.put("work", "last year", "2024-03-20T12:00")
    assert read(graph, first.cursor).removed == [graph.alice.id_of("work", "last year")]


@pytest.mark.parametrize(
    ("start", "all_day", "goes"),
    [
        pytest.param(timedelta(0), False, True, id="a timed row that begins with the window is inside"),
        pytest.param(timedelta(hours=-1), False, False, id="one that ends as the window begins is outside"),
        pytest.param(timedelta(minutes=-30), False, True, id="one that reaches into the window is inside"),
        pytest.param(timedelta(days=-1), True, False, id="of a date at the edge nobody knows, on whose clock it is"),
        pytest.param(timedelta(days=2), True, True, id="a date well inside is inside"),
    ],
)
def test_edge_of_the_window(graph: GraphSimulator, start: timedelta, all_day: bool, goes: bool) -> None:
    first = read(graph)
    assert isinstance(first.end, Snapshot)
    assert first.end.window is not None
    begins = first.end.window[0] - timedelta(days=1)
    graph.alice.put("work", "edge", "2024-03-20T12:00")
    stored = row(graph.alice.id_of("work", "edge"), begins + start, all_day=all_day)
    assert bool(read(graph, first.cursor, mirrored=[stored]).removed) is goes


def test_full_read_proves_less_than_it_asked_for(graph: GraphSimulator) -> None:
    """Dates at the edge are inside on some clocks only."""
    found = read(graph)
    assert isinstance(found.end, Snapshot)
    assert found.end.window is not None
    start, end = found.end.window
    asked = query_of(graph.asked[0])
    assert asked["startDateTime"] == f"{start - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    assert asked["endDateTime"] == f"{end + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"


# Series --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparse", [True, False], ids=["sparse", "told in full"])
def test_instances_are_rows_of_their_own_and_the_series_is_none(graph: GraphSimulator, sparse: bool) -> None:
    graph.alice.sparse = sparse
    standup(graph, showAs="tentative")
    found = read(graph)
    assert titles(found) == ["Standup"] * 10
    entries = [entry for resource in found.resources.values() for entry in resource.entries]
    assert {entry.fbtype for entry in entries} == {"busy-tentative"}
    assert graph.alice.id_of("work", "standup") not in found.resources
    assert {entry.series_id for entry in entries} == {graph.alice.id_of("work", "standup")}
    assert all(entry.etag for entry in entries)


def test_occurrences_that_come_before_their_series_wait_for_it(
    graph: GraphSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.page_size = 4
    standup(graph)
    held = graph.alice.shown

    def backwards(*arguments: Any) -> Iterator[Any]:
        return iter(list(held(*arguments))[::-1])

    monkeypatch.setattr(graph.alice, "shown", backwards)
    assert titles(read(graph)) == ["Standup"] * 10
    assert not graph.asked_for(EVENTS)


def without_master(body: dict[str, Any]) -> None:
    body["value"] = [item for item in body["value"] if item.get("type") != "seriesMaster"]


def test_series_that_does_not_come_is_asked_for_once(graph: GraphSimulator) -> None:
    standup(graph)
    graph.fail(edited(without_master), path=DELTA)
    assert titles(read(graph)) == ["Standup"] * 10
    assert len(graph.asked_for(EVENTS)) == 1


def test_occurrence_that_comes_again_in_full_needs_no_series_any_more(graph: GraphSimulator) -> None:
    graph.page_size = 5
    standup(graph)
    event = graph.alice.calendar("work").events[graph.alice.id_of("work", "standup")]
    own = {**graph.alice.written(event, event.occurrences[2]), "type": "exception", "subject": "Moved"}
    graph.fail(edited(without_master), path=DELTA)
    graph.fail(edited(lambda body: body["value"].append(own)), on=2, path=DELTA)
    assert titles(read(graph)) == ["Moved", *["Standup"] * 9]


def test_occurrences_of_a_series_that_is_no_more_are_withheld(graph: GraphSimulator) -> None:
    standup(graph)
    graph.fail(edited(without_master), path=DELTA)
    graph.before(lambda: graph.alice.delete("work", "standup"), path=EVENTS)
    found = read(graph)
    assert (len(found.withheld), found.resources) == (10, {})


def test_failure_while_asking_for_a_series_is_a_failure_of_the_reading(graph: GraphSimulator) -> None:
    standup(graph)
    graph.fail(edited(without_master), path=DELTA)
    graph.fail(error(500, "InternalServerError"), path=EVENTS)
    ledger = Ledger(graph)
    with pytest.raises(Exception, match="problem of its own"):
        ledger.sync()
    assert not ledger.rows


def test_item_that_says_nothing_is_asked_for(graph: GraphSimulator) -> None:
    graph.alice.put("work", "lunch", "2026-03-20T12:00", subject="Lunch")

    def bare(body: dict[str, Any]) -> None:
        body["value"] = [{"id": item["id"]} for item in body["value"]]

    graph.fail(edited(bare), path=DELTA)
    assert titles(read(graph)) == ["Lunch"]
    assert len(graph.asked_for(EVENTS)) == 1


def test_bare_item_that_turns_out_to_be_a_series_completes_its_occurrences(graph: GraphSimulator) -> None:
    standup(graph)

    def bare_master(body: dict[str, Any]) -> None:
        body["value"] = [
            {"id": item["id"]} if item["type"] == "seriesMaster" else item for item in reversed(body["value"])
        ]

    graph.fail(edited(bare_master), path=DELTA)
    assert titles(read(graph)) == ["Standup"] * 10
    assert len(graph.asked_for(EVENTS)) == 1


@pytest.mark.parametrize("told", ["", "removed", "cancelled"], ids=["without a word", "by a removal", "as cancelled"])
def test_deleted_occurrence_does_not_stay_busy(graph: GraphSimulator, told: str) -> None:
    graph.alice.lost_occurrences = told
    standup(graph)
    ledger = Ledger(graph)
    ledger.sync()
    gone = graph.alice.id_of("work", "standup", 3)
    graph.alice.delete_occurrence("work", "standup", 3)
    graph.forget()
    ledger.sync()
    busy = {key for key, entry in ledger.rows.items() if entry.fbtype != "free"}
    assert len(busy) == 9
    assert gone not in busy
    # Only where Graph says nothing the series has to be asked for.
    assert len(graph.asked_for("/instances")) == (0 if told else 1)


def test_instance_that_a_changed_series_did_not_name_stays_if_the_series_has_it(graph: GraphSimulator) -> None:
    standup(graph)
    ledger = Ledger(graph)
    ledger.sync()
    graph.alice.change("work", "standup", subject="Renamed")
    graph.fail(edited(lambda body: body.update(value=body["value"][:4])), path=DELTA)
    ledger.sync()
    assert sorted(entry.title for entry in ledger.rows.values()) == ["Renamed"] * 10


def test_series_that_goes_while_its_instances_are_asked_for_is_left_to_the_next_round(graph: GraphSimulator) -> None:
    standup(graph)
    ledger = Ledger(graph)
    ledger.sync()
    graph.alice.delete_occurrence("work", "standup", 3)
    graph.before(lambda: graph.alice.delete("work", "standup"), path="/instances")
    ledger.sync()
    assert len(ledger.rows) == 10
    ledger.sync()
    assert not ledger.rows


def test_removal_of_a_series_removes_its_instances_in_the_window_and_no_others(graph: GraphSimulator) -> None:
    standup(graph)
    ledger = Ledger(graph)
    ledger.sync()
    series_id = graph.alice.id_of("work", "standup")
    (some, *_) = ledger.rows.values()
    ledger.rows["long ago"] = replace(
        some, external_event_id="long ago", start_time=LONG_AGO, end_time=LONG_AGO + timedelta(hours=1)
    )
    ledger.rows["another's"] = replace(some, external_event_id="another's", series_id="another")
    graph.alice.delete("work", "standup")
    ledger.sync()
    assert set(ledger.rows) == {"long ago", "another's"}
    assert ledger.rows["long ago"].series_id == series_id


def test_instances_that_came_in_the_same_round_go_with_their_series(graph: GraphSimulator) -> None:
    graph.page_size = 4
    ledger = Ledger(graph)
    ledger.sync()
    standup(graph)

    def then_gone(body: dict[str, Any]) -> None:
        body["value"].append({"id": graph.alice.id_of("work", "standup"), "@removed": {"reason": "deleted"}})

    graph.fail(edited(then_gone), on=3, path=DELTA)
    ledger.sync()
    assert not ledger.rows


def test_series_moved_to_another_day_leaves_nothing_behind(graph: GraphSimulator) -> None:
    standup(graph)
    ledger = Ledger(graph)
    ledger.sync()
    graph.alice.put_series("work", "standup", "2026-03-03T09:00", count=10, subject="Standup")
    ledger.sync()
    assert {entry.start_time.weekday() for entry in ledger.rows.values()} == {1}
    assert len(ledger.rows) == 10


def test_single_event_that_becomes_a_series_is_no_row_any_more(graph: GraphSimulator) -> None:
    graph.alice.put("work", "standup", "2026-03-02T09:00", subject="Standup")
    ledger = Ledger(graph)
    ledger.sync()
    standup(graph)
    ledger.sync()
    assert graph.alice.id_of("work", "standup") not in ledger.rows
    assert len(ledger.rows) == 10


def test_series_that_becomes_a_single_event_leaves_no_instances(graph: GraphSimulator) -> None:
    standup(graph)
    ledger = Ledger(graph)
    ledger.sync()
    graph.alice.put("work", "standup", "2026-03-02T09:00", subject="Standup")
    ledger.sync()
    assert set(ledger.rows) == {graph.alice.id_of("work", "standup")}


def test_change_of_a_series_reaches_its_occurrences_and_spares_the_exceptions(graph: GraphSimulator) -> None:
    standup(graph)
    graph.alice.change_occurrence("work", "standup", 2, "2026-03-10T15:00", subject="Special")
    ledger = Ledger(graph)
    ledger.sync()
    graph.alice.change("work", "standup", subject="Daily", showAs="free")
    ledger.sync()
    assert sorted(entry.title for entry in ledger.rows.values()) == ["Daily"] * 9 + ["Special"]
    special = ledger.rows[graph.alice.id_of("work", "standup", 2)]
    assert special.start_time == datetime(2026, 3, 10, 15, tzinfo=UTC)


def test_all_day_series_is_dates(graph: GraphSimulator) -> None:
    graph.alice.put_series("work", "rota", "2026-03-02", count=3, minutes=1440, zone="Tokyo Standard Time")
    entries = [entry for resource in read(graph).resources.values() for entry in resource.entries]
    assert all(entry.all_day for entry in entries)
    assert {entry.start_time for entry in entries} == {datetime(2026, 3, day, tzinfo=UTC) for day in (2, 9, 16)}


def test_series_far_older_than_the_window_brings_its_instances_in_the_window(graph: GraphSimulator) -> None:
    graph.alice.put_series("work", "old", "2019-01-07T09:00", count=600, subject="Old")
    found = read(graph)
    entries = [entry for resource in found.resources.values() for entry in resource.entries]
    assert min(entry.start_time for entry in entries) > datetime(2025, 11, 1, tzinfo=UTC)
    assert len(entries) < 100


# The window ----------------------------------------------------------------------------------------------------------


def test_moved_window_is_a_full_read_of_the_new_one(graph: GraphSimulator) -> None:
    graph.alice.put("work", "lunch", "2026-03-20T12:00")
    with time_machine.travel(NOW, tick=False) as clock:
        first = read(graph)
        clock.shift(timedelta(days=29))
        second = read(graph, first.cursor)
    assert isinstance(first.end, Snapshot)
    assert isinstance(second.end, Snapshot)
    assert first.end.window is not None
    assert second.end.window is not None
    assert first.end.window[0] < second.end.window[0]
    assert len(second.resources) == 1


def test_window_that_has_not_moved_keeps_its_cursor(graph: GraphSimulator) -> None:
    with time_machine.travel(NOW, tick=False) as clock:
        first = read(graph)
        clock.shift(timedelta(minutes=5))
        assert isinstance(read(graph, first.cursor).end, Delta)


def test_windows_of_calendars_do_not_move_all_at_once(graph: GraphSimulator) -> None:
    names = [f"calendar-{number}" for number in range(30)]
    for name in names:
        graph.alice.add_calendar(name)
    with time_machine.travel(NOW, tick=False) as clock:
        cursors = {name: read(graph, calendar=name).cursor for name in names}
        clock.shift(timedelta(days=14))
        again = [isinstance(read(graph, cursors[name], calendar=name).end, Snapshot) for name in names]
    assert 5 < sum(again) < 25


def test_moved_window_loses_no_row_of_the_past(graph: GraphSimulator) -> None:
    graph.alice.put("work", "lunch", "2026-01-05T12:00", subject="Lunch")
    ledger = Ledger(graph)
    with time_machine.travel(NOW, tick=False) as clock:
        ledger.sync()
        clock.shift(timedelta(days=200))
        ledger.sync()
        graph.alice.change("work", "lunch", subject="Changed")
        ledger.sync()
    assert [entry.title for entry in ledger.rows.values()] == ["Lunch"]


@pytest.mark.parametrize(
    "cursor",
    ["nonsense", "[]", '{"link": "x"}', '{"link": 1, "start": 1, "end": 2, "prefer": 3}'],
)
def test_cursor_of_another_version_means_a_full_read(graph: GraphSimulator, cursor: str) -> None:
    assert isinstance(read(graph, cursor).end, Snapshot)


def test_simulated_instances_stand_where_the_window_says() -> None:
    window = (NOW, NOW + timedelta(days=1))
    hour = timedelta(hours=1)
    assert Instance("a", NOW, NOW).inside(window)
    assert not Instance("a", NOW - hour, NOW).inside(window)
    assert not Instance("a", window[1], window[1] + hour).inside(window)
