"""Whatever is edited, and wherever it fails: once the faults stop, one sync makes the ledger what the mailbox is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.integrations.machine import (
    AWAY,
    QUIET_DAYS,
    SERIES,
    SINGLES,
    STARTS,
    TITLES,
    Key,
    MirrorMachine,
    Standing,
    near,
    try_histories,
)
from tests.integrations.outlook import NOW, connected, where
from tests.proxy import Canned
from tests.simulators.base import Fault, as_html, cut_off, reset, truncated, without
from tests.simulators.graph import GraphSimulator
from tests.simulators.graph.server import error, throttled

VIEW = "calendarView/delta"
FAULTS: list[Fault] = [
    error(401, "InvalidAuthenticationToken"),
    error(403, "ErrorAccessDenied"),
    error(404, "ErrorItemNotFound"),
    error(410, "SyncStateNotFound"),
    error(500, "InternalServerError"),
    error(503, "ServiceUnavailable"),
    throttled(),
    throttled("99999999"),
    Canned(502, b"<html>"),
    truncated,
    cut_off,
    reset,
    as_html,
    without("value"),
    without("@odata.deltaLink"),
]


class Mailbox(MirrorMachine):
    began = NOW

    @initialize(
        page_size=st.sampled_from([1, 2, 5, 50]),
        sparse=st.booleans(),
        told=st.sampled_from(["", "removed", "cancelled"]),
        repeats=st.booleans(),
        empty_first=st.booleans(),
        quiet_days=QUIET_DAYS,
    )
    def begin(self, page_size: int, sparse: bool, told: str, repeats: bool, empty_first: bool, quiet_days: int) -> None:
        self.graph = GraphSimulator(page_size=page_size)
        # A page that holds nothing but what was told before has no end.
        self.graph.repeats, self.graph.empty_first = repeats and page_size > 1, empty_first
        self.alice = self.graph.alice
        self.alice.sparse, self.alice.lost_occurrences = sparse, told
        self.alice.add_calendar("work")
        self.months = 0
        self.begin_with(self.graph, where, connected, quiet_days=quiet_days)

    def fill(self) -> None:
        for number, name in enumerate(("lunch", "party", "dentist")):
            self.alice.put("work", name, f"2026-{3 * number + 3:02}-10T09:00", subject="First")
        for name in ("standup", "review"):
            self.alice.put_series("work", name, "2026-03-02T09:00", count=6, every=timedelta(days=21), subject="First")
            self.alice.change_occurrence("work", name, 2, "2026-03-25T15:00", subject="Moved")
            self.alice.delete_occurrence("work", name, 3)

    # Edits -----------------------------------------------------------------------------------------------------------

    @rule(name=SINGLES, start=STARTS, title=TITLES)
    def put(self, name: str, start: str, title: str) -> None:
        self.alice.put("work", name, start, subject=title)

    @rule(name=SINGLES, start=AWAY)
    def put_away(self, name: str, start: str) -> None:
        self.alice.put("work", name, start, subject="Away")

    @rule(name=SERIES, start=STARTS, title=TITLES, count=st.integers(1, 6))
    def put_series(self, name: str, start: str, title: str, count: int) -> None:
        self.alice.put_series("work", name, start, count=count, every=timedelta(days=21), subject=title)

    @rule(name=SINGLES, start=STARTS)
    def make_it_a_series(self, name: str, start: str) -> None:
        self.alice.put_series("work", name, start, count=3, subject="Series now")

    @rule(name=st.one_of(SINGLES, SERIES), title=TITLES)
    def change(self, name: str, title: str) -> None:
        if self.has(name):
            self.alice.change("work", name, subject=title)

    @rule(name=SERIES, number=st.integers(1, 6), start=STARTS, title=TITLES)
    def change_occurrence(self, name: str, number: int, start: str, title: str) -> None:
        if self.has(name, number):
            self.alice.change_occurrence("work", name, number, start, subject=title)

    @rule(name=SERIES, number=st.integers(1, 6))
    def delete_occurrence(self, name: str, number: int) -> None:
        if self.has(name, number):
            self.alice.delete_occurrence("work", name, number)

    @rule(name=st.one_of(SINGLES, SERIES))
    def delete(self, name: str) -> None:
        if self.has(name):
            self.alice.delete("work", name)

    # What goes wrong -------------------------------------------------------------------------------------------------

    @rule(
        fault=st.sampled_from(FAULTS),
        on=st.integers(1, 6),
        times=st.integers(1, 3),
        path=st.sampled_from([VIEW, "/events/", "/me/calendars", ""]),
    )
    def fail(self, fault: Fault, on: int, times: int, path: str) -> None:
        self.graph.fail(fault, on=on, times=times, path=path or "/v1.0/")

    @rule(fault=st.sampled_from([fault for fault in FAULTS if isinstance(fault, Canned)]), on=st.integers(1, 3))
    def refresh_fails(self, fault: Fault, on: int) -> None:
        """Before the vendor replaces the refresh token: an answer that is lost takes the only good one with it."""
        self.graph.sign_in.expire_access_tokens()
        self.graph.fail(fault, on=on, path="/token")

    @rule(what=st.sampled_from(["token", "cursors", "pages"]), on=st.integers(2, 4))
    def expire(self, what: str, on: int) -> None:
        match what:
            case "token":
                self.graph.sign_in.expire_access_tokens()
            case "cursors":
                self.graph.lose_cursors()
            case _:
                self.graph.before(self.graph.expire_pages, on=on, path=VIEW)

    @rule(on=st.integers(1, 4), name=SINGLES, start=STARTS)
    def edit_in_between(self, on: int, name: str, start: str) -> None:
        self.touched.add(self.alice.id_of("work", name))
        self.graph.before(lambda: self.alice.put("work", name, start, subject="In between"), on=on, path=VIEW)

    @rule(on=st.integers(1, 4), name=st.one_of(SINGLES, SERIES))
    def delete_in_between(self, on: int, name: str) -> None:
        def act() -> None:
            if self.has(name):
                self.alice.delete("work", name)

        self.graph.before(act, on=on, path=VIEW)

    @precondition(lambda self: self.months < 8)
    @rule(days=st.integers(1, 40))
    def time_passes(self, days: int) -> None:
        self.months += 1
        self.clock.shift(timedelta(days=days))

    def has(self, name: str, number: int = 0) -> bool:
        event = self.alice.calendar("work").events.get(self.alice.id_of("work", name))
        return event is not None and (not number or number in event.occurrences)

    # What there should be --------------------------------------------------------------------------------------------

    def truth(self) -> dict[Key, tuple[Any, ...]]:
        return {key: said for key, said in self.everything().items() if near(said[0])}

    def mirrored(self) -> dict[Key, tuple[Any, ...]]:
        return {
            (row.external_event_id, row.recurrence_id): (row.start_time, row.end_time, row.title)
            for row in self.rows()
            if near(row.start_time)
        }

    def existing(self) -> dict[Key, Standing]:
        return {key: (start, "") for key, (start, _, _) in self.everything().items()}

    def everything(self) -> dict[Key, tuple[datetime, datetime, str]]:
        always = (datetime(1990, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC))
        return {(key, ""): said for key, said in self.alice.truth("work", always).items()}


@pytest.mark.django_db
def test_ledger_becomes_what_the_mailbox_is() -> None:
    try_histories(Mailbox, examples=12)
