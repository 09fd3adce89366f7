"""Whatever is edited, and wherever it fails: once the faults stop, one sync makes the ledger what the mailbox is."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import time_machine
from django.test import override_settings
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from calendars.providers import ProviderError
from tests.integrations.outlook import NOW, Ledger, touches
from tests.proxy import Canned
from tests.simulators.base import Fault, as_html, cut_off, reset, truncated
from tests.simulators.graph import GraphSimulator
from tests.simulators.graph.server import error, throttled

NAMES = st.sampled_from(["a", "b", "c"])
SERIES = st.sampled_from(["s", "t"])
TITLES = st.sampled_from(["One", "Two", "Three"])
# Inside the window at first, or far outside of it.
STARTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 1)).map(lambda at: at.replace(microsecond=0).isoformat())
AWAY = st.sampled_from(["2019-05-05T10:00", "2033-05-05T10:00"])
FAULTS: list[Fault] = [
    error(500, "InternalServerError"),
    error(503, "ServiceUnavailable"),
    throttled(),
    error(410, "SyncStateNotFound"),
    error(404, "ErrorItemNotFound"),
    Canned(502, b"<html>"),
    truncated,
    cut_off,
    reset,
    as_html,
]


class Mailbox(RuleBasedStateMachine):
    """Edits, faults and syncs in any order, at times in the middle of a sync."""

    @initialize(page_size=st.sampled_from([1, 2, 5, 50]), sparse=st.booleans(), told=st.sampled_from(["", "removed"]))
    def begin(self, page_size: int, sparse: bool, told: str) -> None:
        self.stack = ExitStack()
        self.clock = self.stack.enter_context(time_machine.travel(NOW, tick=False))
        self.graph = self.stack.enter_context(GraphSimulator(page_size=page_size))
        where = {"OUTBOUND_ALLOWED_HOSTS": ["127.0.0.1"], "OUTLOOK_API_URL": self.graph.api_url}
        self.stack.enter_context(override_settings(**where))
        self.alice = self.graph.alice
        self.alice.sparse, self.alice.lost_occurrences = sparse, told
        self.alice.add_calendar("work")
        self.ledger = Ledger(self.graph)
        self.months = 0

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    # Edits -----------------------------------------------------------------------------------------------------------

    @rule(name=NAMES, start=STARTS, title=TITLES)
    def put(self, name: str, start: str, title: str) -> None:
        self.alice.put("work", name, start, subject=title)

    @rule(name=NAMES, start=AWAY)
    def put_away(self, name: str, start: str) -> None:
        self.alice.put("work", name, start, subject="Away")

    @rule(name=SERIES, start=STARTS, title=TITLES, count=st.integers(1, 6))
    def put_series(self, name: str, start: str, title: str, count: int) -> None:
        self.alice.put_series("work", name, start, count=count, every=timedelta(days=21), subject=title)

    @rule(name=NAMES, start=STARTS)
    def make_it_a_series(self, name: str, start: str) -> None:
        self.alice.put_series("work", name, start, count=3, subject="Series now")

    @rule(name=st.one_of(NAMES, SERIES), title=TITLES)
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

    @rule(name=st.one_of(NAMES, SERIES))
    def delete(self, name: str) -> None:
        if self.has(name):
            self.alice.delete("work", name)

    # What goes wrong -------------------------------------------------------------------------------------------------

    @rule(fault=st.sampled_from(FAULTS), on=st.integers(1, 6), times=st.integers(1, 3))
    def fail(self, fault: Fault, on: int, times: int) -> None:
        self.graph.fail(fault, on=on, times=times)

    @rule()
    def lose_cursors(self) -> None:
        self.graph.lose_cursors()

    @rule(on=st.integers(2, 4))
    def expire_pages_in_between(self, on: int) -> None:
        self.graph.before(self.graph.expire_pages, on=on)

    @rule(on=st.integers(1, 4), name=NAMES, start=STARTS)
    def edit_in_between(self, on: int, name: str, start: str) -> None:
        self.graph.before(lambda: self.alice.put("work", name, start, subject="In between"), on=on)

    @rule(on=st.integers(1, 4), name=st.one_of(NAMES, SERIES))
    def delete_in_between(self, on: int, name: str) -> None:
        def act() -> None:
            if self.has(name):
                self.alice.delete("work", name)

        self.graph.before(act, on=on)

    @precondition(lambda self: self.months < 8)
    @rule(days=st.integers(1, 40))
    def time_passes(self, days: int) -> None:
        self.months += 1
        self.clock.shift(timedelta(days=days))

    # Syncs -----------------------------------------------------------------------------------------------------------

    @rule()
    def sync_as_it_comes(self) -> None:
        """It may fail; then nothing of it is kept."""
        before = dict(self.ledger.rows)
        try:
            self.ledger.sync()
        except ProviderError:
            assert self.ledger.rows == before

    @rule()
    def sync_undisturbed(self) -> None:
        self.graph._planned.clear()
        past = self.outside()
        before = set(self.ledger.rows)
        self.ledger.sync()
        existing = self.existing()
        assert self.inside() == self.truth()
        # What the new window does not reach is history, and no removal speaks of it.
        assert {key for key in past if key in existing} <= set(self.ledger.rows)
        assert not {key for key in before - set(self.ledger.rows) if key in self.truth()}

    @invariant()
    def simulator_is_sane(self) -> None:
        assert not getattr(getattr(self, "graph", None), "crashes", [])

    def has(self, name: str, number: int = 0) -> bool:
        event = self.alice.calendar("work").events.get(self.alice.id_of("work", name))
        return event is not None and (not number or number in event.occurrences)

    def inside(self) -> dict[str, tuple[datetime, datetime, str]]:
        assert self.ledger.window is not None
        return {
            key: (entry.start_time, entry.end_time, entry.title)
            for key, entry in self.ledger.rows.items()
            if touches(entry, self.ledger.window)
        }

    def outside(self) -> set[str]:
        return set() if self.ledger.window is None else set(self.ledger.rows) - set(self.inside())

    def truth(self) -> dict[str, tuple[datetime, datetime, str]]:
        assert self.ledger.window is not None
        return self.alice.truth("work", self.ledger.window)

    def existing(self) -> set[str]:
        return set(self.alice.truth("work", (datetime(1990, 1, 1, tzinfo=UTC), datetime(2090, 1, 1, tzinfo=UTC))))


TestMailbox: Callable[..., object] = Mailbox.TestCase
Mailbox.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
