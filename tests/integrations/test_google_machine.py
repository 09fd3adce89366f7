"""Whatever is edited, and wherever it fails: once the faults stop, one sync makes the ledger what the calendar is."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.conf import settings
from django.test import override_settings
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from busyblocks.models import BusyBlock
from calendars.models import CalendarAccount
from calendars.services import runs
from calendars.sync import health, mirror
from calendars.sync import lease as leases
from tenancy.models import Company, CrmUser
from tests.calendars.mirror import synced
from tests.contracts.contract import ALICE
from tests.integrations.google import NOW, connected, rows, where
from tests.proxy import Canned
from tests.simulators.base import Fault, as_html, cut_off, reset, truncated, without
from tests.simulators.google import GoogleSimulator, dates, error, timed
from tests.simulators.google.events import JSON, instance_id, original_of, span

ZONE = "Europe/Berlin"
SINGLES = st.sampled_from(["lunch", "party", "dentist"])
SERIES = st.sampled_from(["standup", "review"])
TITLES = st.sampled_from(["One", "Two", "Three"])
STARTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 2, 1)).map(lambda at: f"{at:%Y-%m-%dT%H:00}")
AWAY = st.sampled_from(["2019-05-05T10:00", "2033-05-05T10:00"])
WEEKS = st.integers(0, 8)
FAULTS: list[Fault] = [
    error(401, "authError"),
    error(403, "userRateLimitExceeded"),
    error(403, "forbidden"),
    error(404, "notFound"),
    error(410, "fullSyncRequired"),
    error(429, "rateLimitExceeded", headers={"Retry-After": "99999999"}),
    error(500, "backendError"),
    Canned(503, b"<html>"),
    truncated,
    cut_off,
    reset,
    as_html,
    without("nextSyncToken"),
]
STEPS: list[tuple[Any, str]] = [(mirror, "apply"), (mirror, "_count"), (health, "settle"), (runs, "close")]
STEPS += [(leases, "release")]


class Killed(BaseException):
    """What a kill is like from inside."""


class Google(RuleBasedStateMachine):
    """Edits, faults, kills and syncs in any order, at times in the middle of a sync. One calendar, real engine."""

    @initialize(sizes=st.lists(st.integers(0, 3), max_size=6), last_first=st.booleans())
    def begin(self, sizes: list[int], last_first: bool) -> None:
        self.stack = ExitStack()
        self.clock = self.stack.enter_context(time_machine.travel(NOW, tick=False))
        self.google = self.stack.enter_context(GoogleSimulator())
        self.stack.enter_context(override_settings(OUTBOUND_ALLOWED_HOSTS=["127.0.0.1"], **where(self.google)))
        self.google.add_account(ALICE, time_zone=ZONE)
        self.google.calendars.page_sizes = sizes
        if last_first:
            self.google.calendars.order = lambda event: ("recurringEventId" not in event, event["id"])
        company = Company.objects.create(url_id="acme")
        user = CrmUser.objects.create(company=company, unique_id="alice", email=ALICE)
        self.account = connected(self.google, user)

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()
            CrmUser.objects.all().delete()
            Company.objects.all().delete()

    # Edits ----------------------------------------------------------------------------------------------------------

    @rule(name=SINGLES, start=st.one_of(STARTS, AWAY), title=TITLES)
    def put(self, name: str, start: str, title: str) -> None:
        self.google.put(ALICE, name, timed(start, zone=ZONE, summary=title))

    @rule(name=SINGLES, start=STARTS, days=st.integers(1, 3))
    def put_dates(self, name: str, start: str, days: int) -> None:
        self.google.put(ALICE, name, dates(start[:10], days=days, summary="Dates"))

    @rule(name=SERIES, title=TITLES, lines=st.sampled_from(["RRULE:FREQ=WEEKLY", "RRULE:FREQ=WEEKLY;UNTIL=20260401"]))
    def put_series(self, name: str, title: str, lines: str) -> None:
        self.google.put(ALICE, name, timed("2026-03-02T09:00", zone=ZONE, summary=title, recurrence=[lines]))

    @rule(name=SERIES)
    def make_it_single(self, name: str) -> None:
        """Google tells of each changed instance that it is gone."""
        if name in self.google.calendars.calendars[ALICE].events:
            self.google.delete(ALICE, name)
        self.google.put(ALICE, name, timed("2026-03-02T09:00", zone=ZONE, summary="Single now"))

    @rule(name=SERIES, week=WEEKS, start=st.one_of(STARTS, AWAY), title=TITLES)
    def move_instance(self, name: str, week: int, start: str, title: str) -> None:
        if self.recurs(name):
            self.google.move_instance(ALICE, name, instance_at(week), timed(start, zone=ZONE, summary=title))

    @rule(name=SERIES, week=WEEKS)
    def cancel_instance(self, name: str, week: int) -> None:
        if self.recurs(name):
            self.google.cancel_instance(ALICE, name, instance_at(week))

    @rule(name=st.one_of(SINGLES, SERIES))
    def delete(self, name: str) -> None:
        if self.lives(name):
            self.google.delete(ALICE, name)

    @rule(name=SERIES, week=WEEKS, start=STARTS)
    def delete_all_but_one_instance(self, name: str, week: int, start: str) -> None:
        if self.recurs(name):
            original = original_of(self.google.calendars.events(ALICE)[name], instance_at(week))
            self.google.delete(ALICE, name)
            own = {"recurringEventId": name, "originalStartTime": original, **timed(start, zone=ZONE, summary="Alone")}
            self.google.put(ALICE, instance_id(name, original), own)

    # What goes wrong ------------------------------------------------------------------------------------------------

    @rule(fault=st.sampled_from(FAULTS), on=st.integers(1, 6), path=st.sampled_from(["/events", "", "calendarList"]))
    def fail(self, fault: Fault, on: int, path: str) -> None:
        self.google.fail(fault, on=on, path=path or "/calendar/v3/")

    @rule(on=st.integers(1, 3))
    def refresh_fails(self, on: int) -> None:
        self.google.oauth.expire_access_tokens()
        self.google.fail(error(500, "backendError"), on=on, path="/token")

    @rule()
    def lose_cursors(self) -> None:
        self.google.lose_cursors()

    @rule(on=st.integers(2, 4))
    def expire_pages_in_between(self, on: int) -> None:
        self.google.before(self.google.calendars.expire_page_tokens, on=on, path="/events")

    @rule(on=st.integers(1, 4), name=SINGLES, start=STARTS)
    def edit_in_between(self, on: int, name: str, start: str) -> None:
        event = timed(start, zone=ZONE, summary="In between")
        self.google.before(lambda: self.google.put(ALICE, name, event), on=on, path="/events")

    @rule(on=st.integers(1, 4), name=st.one_of(SINGLES, SERIES))
    def delete_in_between(self, on: int, name: str) -> None:
        self.google.before(lambda: self.delete_now(name), on=on, path="/events")

    @rule(name=SINGLES)
    def show_twice(self, name: str) -> None:
        self.google.calendars.show_twice(ALICE, name)

    @rule(days=st.integers(1, 40))
    @precondition(lambda self: self.google.calendars and datetime.now(UTC) < NOW + timedelta(days=200))
    def time_passes(self, days: int) -> None:
        self.clock.shift(timedelta(days=days))

    # Syncs ----------------------------------------------------------------------------------------------------------

    @rule()
    def sync_as_it_comes(self) -> None:
        self.watched(lambda: synced(self.account))

    @rule(step=st.sampled_from(STEPS))
    def sync_until_killed(self, step: tuple[Any, str]) -> None:
        def killed(*arguments: Any, **facts: Any) -> None:
            raise Killed

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*step, killed)
            try:
                self.watched(lambda: synced(self.account))
            except Killed:
                # Until another worker may take it up.
                self.clock.shift(settings.SYNC_LEASE + timedelta(seconds=1))

    @rule()
    def sync_undisturbed(self) -> None:
        self.google._planned.clear()
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
        assert self.taken_out() == self.really_taken_out()

    def watched(self, sync: Any) -> Any:
        """No sync deletes what still exists inside the window."""
        # A read that began in the moment of the last one would take its rows for its own.
        self.clock.shift(timedelta(seconds=1))
        before = set(rows(self.account))
        try:
            return sync()
        finally:
            assert not {key for key in before - set(rows(self.account)) if key in self.truth()}

    def lives(self, name: str) -> bool:
        return name in self.google.calendars.events(ALICE) and not self.is_gone(name)

    def recurs(self, name: str) -> bool:
        return self.lives(name) and "recurrence" in self.google.calendars.events(ALICE)[name]

    def is_gone(self, name: str) -> bool:
        return bool(self.google.calendars.events(ALICE)[name]["status"] == "cancelled")

    def delete_now(self, name: str) -> None:
        if self.lives(name):
            self.google.delete(ALICE, name)

    # What there should be ---------------------------------------------------------------------------------------------

    def truth(self) -> dict[tuple[str, str], tuple[str, datetime]]:
        """What lives inside every window that there may have been."""
        events = self.google.calendars.events(ALICE)
        return {
            key_of(event): (event.get("summary", ""), start_of(event))
            for event in events.values()
            if event["status"] != "cancelled" and inside(event)
        }

    def mirrored(self) -> dict[tuple[str, str], tuple[str, datetime]]:
        found = BusyBlock.objects.filter(origin__calendar__account=self.account).exclude(status="cancelled")
        return {
            (row.external_event_id, row.recurrence_id): (row.title, row.start_time)
            for row in found
            if datetime.now(UTC) - timedelta(days=80) < row.start_time < datetime.now(UTC) + timedelta(days=390)
            or row.recurring
        }

    def taken_out(self) -> set[tuple[str, str]]:
        """Instances that the ledger takes out of a series it has."""
        found = rows(self.account)
        return {key for key, row in found.items() if row.status == "cancelled" and (key[0], "") in found}

    def really_taken_out(self) -> set[tuple[str, str]]:
        events = self.google.calendars.events(ALICE).values()
        return {key_of(event) for event in events if event["status"] == "cancelled"}


def instance_at(week: int) -> str:
    return f"{datetime(2026, 3, 2, 9) + timedelta(weeks=week):%Y-%m-%dT%H:%M}"


def key_of(event: JSON) -> tuple[str, str]:
    original = event.get("originalStartTime")
    if original is None:
        return event["id"], ""
    return event["recurringEventId"], f"{datetime.fromisoformat(original['dateTime']).astimezone(UTC):%Y%m%dT%H%M%SZ}"


def start_of(event: JSON) -> datetime:
    if "date" in event["start"]:
        return datetime.fromisoformat(event["start"]["date"]).replace(tzinfo=UTC)
    return datetime.fromisoformat(event["start"]["dateTime"]).astimezone(UTC)


def inside(event: JSON) -> bool:
    now = datetime.now(UTC)
    start, _ = span(event, str(ZoneInfo(ZONE)))
    return "recurrence" in event or now - timedelta(days=80) < start < now + timedelta(days=390)


@pytest.mark.django_db
def test_ledger_becomes_what_the_calendar_is() -> None:
    run_state_machine_as_test(
        Google, settings=hypothesis_settings(max_examples=40, stateful_step_count=25, deadline=None)
    )
