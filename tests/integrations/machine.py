"""What the state machines of the vendors share: syncs of one account by the real engine, whole or until killed.

`FAULT_RUNS=10` tries ten times as many histories, other ones each time (`make faults`).
"""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest
import time_machine
from django.conf import settings
from django.db import connection
from django.db.models import Q
from django.test import override_settings
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from busyblocks.models import BusyBlock
from calendars.models import CalendarAccount, WithheldEvent
from calendars.sync import mirror
from calendars.sync.engine import Verdict
from tenancy.models import Company, CrmUser
from tests.calendars.crashes import STEPS, WAYS, Killed
from tests.calendars.mirror import synced
from tests.contracts.contract import ALICE
from tests.simulators.base import Simulator

# One entry: event id and recurrence id.
Key = tuple[str, str]
# When it starts, and the rule by which it recurs, as RFC 5545 writes it.
Standing = tuple[datetime, str]
SINGLES = st.sampled_from(["lunch", "party", "dentist"])
SERIES = st.sampled_from(["standup", "review"])
TITLES = st.sampled_from(["One", "Two", "Three"])
QUIET_DAYS = st.sampled_from([0, 140])
# Inside the window at first, or far outside of it.
STARTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 2, 1)).map(lambda at: f"{at:%Y-%m-%dT%H:00}")
# A death between what belongs together, and so the likelier ones.
KILLS = [*STEPS, *[(mirror, "_write"), (mirror, "_count")] * 5]
# Calendars that the next sync looks at a second time.
IN_DOUBT = Q(missing_since__isnull=False) | Q(held_count__gt=0)
AWAY = st.sampled_from(["2019-05-05T10:00", "2033-05-05T10:00"])


class MirrorMachine(RuleBasedStateMachine):
    """Edits, faults, kills and syncs in any order, at times in the middle of a sync. One calendar, the real engine.

    A subclass's first rule calls `begin_with`, which has the calendar filled by `fill`; it says what there should be
    in `truth`.
    """

    began: ClassVar[datetime]
    simulator: Simulator
    account: CalendarAccount

    def begin_with(
        self,
        simulator: Simulator,
        where: Callable[[Any], dict[str, Any]],
        connected: Callable[[Any, CrmUser], CalendarAccount],
        *,
        quiet_days: int,
    ) -> None:
        """Start the simulator, point the service there, connect alice's account, and mirror what it has.

        After quiet_days without an edit some of it may lie behind the window.
        """
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
        self.fill()
        # What is mirrored already is what edits and faults can do harm to.
        self.sync_undisturbed()
        self.clock.shift(timedelta(days=quiet_days))

    def teardown(self) -> None:
        """Every history ends with an undisturbed sync."""
        try:
            if hasattr(self, "account") and sys.exception() is None:
                self.sync_undisturbed()
        finally:
            self.close()

    def close(self) -> None:
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

    @rule(step=st.sampled_from(KILLS), dies=st.sampled_from(WAYS))
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
        CalendarAccount.objects.filter(pk=self.account.pk).update(vendor_retry_at=None, connected=True)
        verdict = self.watched(lambda: synced(self.account))
        # A missing calendar, and deletions that the brake holds, need a second look ten minutes later.
        for _ in range(2):
            if verdict.succeeded or not self.account.calendars.filter(IN_DOUBT).exists():
                break
            self.clock.shift(timedelta(minutes=11))
            verdict = self.watched(lambda: synced(self.account))
        assert verdict.succeeded, verdict
        mirrored, true = self.mirrored(), self.truth()
        assert mirrored == true, difference(mirrored, true)
        assert not WithheldEvent.objects.filter(calendar__account=self.account).exists()
        self.check()

    def watched(self, sync: Callable[[], Verdict]) -> Verdict:
        """No sync deletes what stood at the vendor all the while, there where the ledger had it: not in the window,
        nor where no window reaches (any more)."""
        # A read that began in the moment of the last one would take its rows for its own.
        self.clock.shift(timedelta(seconds=1))
        before, true = self.standing(), self.existing()
        try:
            return sync()
        finally:
            still, there = self.keys(), self.existing()
            lost = {
                key
                for key, stood in before.items()
                if key not in still and key[0] not in self.touched and true.get(key) == there.get(key) == stood
            }
            assert not lost, lost

    # What there is, and what there should be --------------------------------------------------------------------------

    def rows(self) -> list[BusyBlock]:
        return list(BusyBlock.objects.filter(origin__calendar__account=self.account))

    def keys(self) -> set[Key]:
        return {(row.external_event_id, row.recurrence_id) for row in self.rows()}

    def standing(self) -> dict[Key, Standing]:
        """The rows that are not cancelled."""
        rows = (row for row in self.rows() if row.status != "cancelled")
        return {(row.external_event_id, row.recurrence_id): (row.start_time, row.recurrence_rule) for row in rows}

    def fill(self) -> None:
        """Some events, and some series with a moved and a cancelled instance."""
        raise NotImplementedError

    def mirrored(self) -> dict[Key, tuple[Any, ...]]:
        """What the ledger holds inside the window, as `truth` would say it."""
        raise NotImplementedError

    def truth(self) -> dict[Key, tuple[Any, ...]]:
        """What lives at the vendor inside every window that there may be now."""
        raise NotImplementedError

    def existing(self) -> dict[Key, Standing]:
        """What lives at the vendor, whenever that is."""
        raise NotImplementedError

    def check(self) -> None:
        """What else has to hold after an undisturbed sync."""


def difference(mirrored: dict[Key, tuple[Any, ...]], true: dict[Key, tuple[Any, ...]]) -> str:
    """Key by key what the ledger says, and what it should."""
    keys = sorted(key for key in mirrored.keys() | true.keys() if mirrored.get(key) != true.get(key))
    return "\n".join(f"{key}: {mirrored.get(key)}, should be {true.get(key)}" for key in keys)


def near(start: datetime) -> bool:
    """Whether it lies inside every window that there may be now."""
    return datetime.now(UTC) - timedelta(days=80) < start < datetime.now(UTC) + timedelta(days=390)


def try_histories(machine: type[MirrorMachine], *, examples: int) -> None:
    """Without shrinking: that takes minutes, and what is left is hardly easier to read than 25 steps.

    On PostgreSQL, where `make test` comes a second time, a third of them.
    """
    runs = os.environ.get("FAULT_RUNS")
    if runs is None and connection.vendor == "postgresql":
        examples //= 3
    run_state_machine_as_test(
        machine,
        settings=hypothesis_settings(
            max_examples=examples * int(runs or 1),
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
        ),
    )
