"""What the state machines of the vendors share: syncs of one account by the real engine, whole or until killed.

`FAULT_RUNS=10` tries ten times as many histories, other ones each time (`make faults`).
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
import time_machine
from django.conf import settings
from django.test import override_settings
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from busyblocks.models import BusyBlock
from calendars.models import CalendarAccount
from calendars.sync.engine import Verdict
from tenancy.models import Company, CrmUser
from tests.calendars.crashes import STEPS, WAYS, Killed
from tests.calendars.mirror import synced
from tests.contracts.contract import ALICE
from tests.simulators.base import Simulator

# One entry: event id and recurrence id.
Key = tuple[str, str]
SINGLES = st.sampled_from(["lunch", "party", "dentist"])
SERIES = st.sampled_from(["standup", "review"])
TITLES = st.sampled_from(["One", "Two", "Three"])
# Inside the window at first, or far outside of it.
STARTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 2, 1)).map(lambda at: f"{at:%Y-%m-%dT%H:00}")
AWAY = st.sampled_from(["2019-05-05T10:00", "2033-05-05T10:00"])


class MirrorMachine(RuleBasedStateMachine):
    """Edits, faults, kills and syncs in any order, at times in the middle of a sync. One calendar, the real engine.

    A subclass's first rule calls `begin_with`; it says what there should be in `truth`.
    """

    began: ClassVar[datetime]
    simulator: Simulator
    account: CalendarAccount

    def begin_with(
        self,
        simulator: Simulator,
        where: Callable[[Any], dict[str, Any]],
        connected: Callable[[Any, CrmUser], CalendarAccount],
    ) -> None:
        """Start the simulator, point the service there, and connect alice's account."""
        self.stack = ExitStack()
        self.clock = self.stack.enter_context(time_machine.travel(self.began, tick=False))
        self.simulator = self.stack.enter_context(simulator)
        # The lease is renewed by a thread in real time, which does not see what a test's transaction holds.
        # Each history begins at the same time: budgets, counted by the clock, would be spent by those before.
        patience = {
            "SYNC_LEASE": timedelta(minutes=10),
            "OUTBOUND_ALLOWED_HOSTS": ["127.0.0.1"],
            "CALENDAR_BUDGETS": dict[str, Any](),
        }
        self.stack.enter_context(override_settings(**patience, **where(simulator)))
        company = Company.objects.create(url_id="acme")
        user = CrmUser.objects.create(company=company, unique_id="alice", email=ALICE)
        self.account = connected(simulator, user)
        # Events that were edited while a sync was reading: whatever it made of them, the next one knows better.
        self.touched: set[str] = set()

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()
            CrmUser.objects.all().delete()
            Company.objects.all().delete()

    @invariant()
    def simulator_is_sane(self) -> None:
        assert not getattr(getattr(self, "simulator", None), "crashes", [])

    @rule()
    def sync_as_it_comes(self) -> None:
        self.watched(lambda: synced(self.account))

    @rule(step=st.sampled_from(STEPS), dies=st.sampled_from(WAYS))
    def sync_until_killed(self, step: tuple[Any, str], dies: Callable[[Any], Any]) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*step, dies(getattr(*step)))
            try:
                self.watched(lambda: synced(self.account))
            except Killed:
                # Until another worker may take it up.
                self.clock.shift(settings.SYNC_LEASE + timedelta(seconds=1))

    @rule()
    def sync_undisturbed(self) -> None:
        self.simulator.recover()
        self.touched.clear()
        history = self.history()
        CalendarAccount.objects.filter(pk=self.account.pk).update(vendor_retry_at=None, connected=True)
        verdict = self.watched(lambda: synced(self.account))
        # A missing calendar, and deletions that the brake holds, need a second look ten minutes later.
        for _ in range(3):
            if verdict.succeeded:
                break
            self.clock.shift(timedelta(minutes=11))
            verdict = self.watched(lambda: synced(self.account))
        assert verdict.succeeded, verdict
        assert self.mirrored() == self.truth()
        # What the window has left behind is history, and no removal speaks of it.
        assert history & self.existing() <= self.keys()
        self.check()

    def watched(self, sync: Callable[[], Verdict]) -> Verdict:
        """No sync deletes what existed inside the window all the while."""
        # A read that began in the moment of the last one would take its rows for its own.
        self.clock.shift(timedelta(seconds=1))
        before, true = self.keys(), self.truth()
        try:
            return sync()
        finally:
            lost = {key for key in before - self.keys() if key[0] not in self.touched}
            assert not lost & true.keys() & self.truth().keys()

    # What there is, and what there should be --------------------------------------------------------------------------

    def rows(self) -> list[BusyBlock]:
        return list(BusyBlock.objects.filter(origin__calendar__account=self.account))

    def keys(self) -> set[Key]:
        return {(row.external_event_id, row.recurrence_id) for row in self.rows()}

    def history(self) -> set[Key]:
        """Rows that lie behind every window."""
        latest = datetime.now(UTC) - timedelta(days=130)
        return {(row.external_event_id, row.recurrence_id) for row in self.rows() if row.end_time < latest}

    def mirrored(self) -> dict[Key, tuple[Any, ...]]:
        """What the ledger holds inside the window, as `truth` would say it."""
        raise NotImplementedError

    def truth(self) -> dict[Key, tuple[Any, ...]]:
        """What lives at the vendor inside every window that there may be now."""
        raise NotImplementedError

    def existing(self) -> set[Key]:
        """What lives at the vendor, whenever it is, and was not changed since it was mirrored."""
        return set()

    def check(self) -> None:
        """What else has to hold after an undisturbed sync."""


def near(start: datetime) -> bool:
    """Whether it lies inside every window that there may be now."""
    return datetime.now(UTC) - timedelta(days=80) < start < datetime.now(UTC) + timedelta(days=390)


def try_histories(machine: type[MirrorMachine], *, examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=examples * int(os.environ.get("FAULT_RUNS", "1")), stateful_step_count=25, deadline=None
        ),
    )
