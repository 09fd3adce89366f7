"""Whatever is edited, and wherever it fails: once the faults stop, one sync makes the ledger what the calendar is."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.contracts.contract import ALICE
from tests.integrations.google import NOW, connected, where
from tests.integrations.machine import (
    AWAY,
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
from tests.proxy import Canned
from tests.simulators.base import Fault, as_html, cut_off, reset, truncated, without
from tests.simulators.google import GoogleSimulator, dates, error, timed
from tests.simulators.google.events import JSON, instance_id, original_of, span

ZONE = "Europe/Berlin"
WEEKS = st.integers(0, 8)
# When the series with an end are over.
ENDED = datetime(2026, 4, 1, tzinfo=UTC)
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


class Google(MirrorMachine):
    began = NOW

    @initialize(sizes=st.lists(st.integers(0, 3), max_size=6), last_first=st.booleans())
    def begin(self, sizes: list[int], last_first: bool) -> None:
        self.google = GoogleSimulator()
        self.google.add_account(ALICE, time_zone=ZONE)
        self.google.calendars.page_sizes = sizes
        if last_first:
            self.google.calendars.order = lambda event: ("recurringEventId" not in event, event["id"])
        self.begin_with(self.google, where, connected, quiet_days=0)

    def fill(self) -> None:
        for number, name in enumerate(("lunch", "party", "dentist")):
            self.put(name, f"2026-{3 * number + 3:02}-10T09:00", "First")
        for name in ("standup", "review"):
            self.put_series(name, "First", "RRULE:FREQ=WEEKLY")
            self.move_instance(name, 1, "2026-03-10T15:00", "Moved")
            self.cancel_instance(name, 2)

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

    @rule(what=st.sampled_from(["cursors", "pages"]), on=st.integers(2, 4))
    def expire(self, what: str, on: int) -> None:
        if what == "cursors":
            self.google.lose_cursors()
        else:
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

    def truth(self) -> dict[Key, tuple[Any, ...]]:
        """What lives inside every window that there may have been."""
        return {key_of(event): (event.get("summary", ""), start_of(event)) for event in self.alive() if inside(event)}

    def existing(self) -> dict[Key, Standing]:
        return {key_of(event): (start_of(event), rule_of(event)) for event in self.alive()}

    def alive(self) -> list[JSON]:
        return [event for event in self.google.calendars.events(ALICE).values() if event["status"] != "cancelled"]

    def mirrored(self) -> dict[Key, tuple[Any, ...]]:
        return {
            (row.external_event_id, row.recurrence_id): (row.title, row.start_time)
            for row in self.rows()
            if row.status != "cancelled" and reaches(row.start_time, row.recurrence_rule)
        }

    def check(self) -> None:
        """Instances are taken out of the series that the ledger has, and of no other.

        One that was taken out, and then moved to where no window reaches, may stay taken out.
        """
        events = self.google.calendars.events(ALICE).values()
        really = {key_of(event) for event in events if event["status"] == "cancelled"}
        taken_out = {(row.external_event_id, row.recurrence_id) for row in self.rows() if row.status == "cancelled"}
        held = self.keys()
        really, taken_out = ({key for key in some if (key[0], "") in held} for some in (really, taken_out))
        moved_away = {key_of(event) for event in self.alive() if not inside(event)}
        assert taken_out - moved_away == really - moved_away, taken_out ^ really


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


def rule_of(event: JSON) -> str:
    return "".join(event.get("recurrence", [])).removeprefix("RRULE:")


def inside(event: JSON) -> bool:
    return reaches(span(event, ZONE)[0], rule_of(event))


def reaches(start: datetime, rule: str) -> bool:
    """Whether it is inside every window that there may be now; a series that has ended is not, once it is long ago."""
    return near(start) or (bool(rule) and ("UNTIL" not in rule or near(ENDED)))


@pytest.mark.django_db
def test_ledger_becomes_what_the_calendar_is() -> None:
    try_histories(Google, examples=14)
