"""The simulated Google as the contract sees it: events come as iCalendar and become Google's JSON."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from integrations.contentlines import Event, Property, parameters, read, unescaped
from integrations.google.provider import GoogleProvider
from tests.contracts.contract import ALICE
from tests.contracts.faults import over_http
from tests.simulators.google import GoogleSimulator, error
from tests.simulators.google.events import JSON, moment


class GoogleVendor:
    """alice's primary calendar; its zone is that of floating times."""

    provider = GoogleProvider
    name = "google"
    faults = over_http(
        throttled=error(403, "userRateLimitExceeded", headers={"Retry-After": "120"}), forbidden=error(403, "forbidden")
    )
    calendar = ALICE
    credentials: dict[str, Any]

    def __init__(self, google: GoogleSimulator) -> None:
        self.google = google
        self.credentials = {}
        self.token, refresh_token = google.grant(ALICE)
        self.stored = {"access_token": self.token, "refresh_token": refresh_token}

    def put(self, name: str, text: str) -> None:
        master, *instances = read(text).events
        self.google.put(ALICE, self.id_of(name), self._event(master))
        for instance in instances:
            original = self._moment(instance["RECURRENCE-ID"][0])
            wall = original.get("date") or original["dateTime"][:19]
            if instance.get("STATUS", [("", "")])[0][1] == "CANCELLED":
                self.google.cancel_instance(ALICE, self.id_of(name), wall)
            else:
                self.google.move_instance(ALICE, self.id_of(name), wall, self._event(instance))

    def delete(self, name: str) -> None:
        self.google.delete(ALICE, self.id_of(name))

    def id_of(self, name: str) -> str:
        return f"event{re.sub('[^a-z0-9]', '', name)}"

    def lose_cursors(self) -> None:
        self.google.lose_cursors()

    def drop_calendar(self) -> None:
        self.google.drop_calendar(ALICE)

    def requests(self) -> int:
        return len(self.google.asked)

    def fail(self, way: str, *, on: int = 1) -> None:
        self.google.fail(self.faults[way], on=on, times=2)

    def recover(self) -> None:
        self.google.recover()

    def forget(self, *names: str) -> None:
        for name in names:
            self.delete(name)
        self.lose_cursors()

    def _event(self, event: Event) -> JSON:
        start = self._moment(event["DTSTART"][0])
        found: JSON = {
            "summary": unescaped(_value(event, "SUMMARY")),
            "start": start,
            "end": self._moment(event["DTEND"][0]) if "DTEND" in event else _usual_end(start),
            "status": _value(event, "STATUS").lower() or "confirmed",
            "transparency": _value(event, "TRANSP").lower() or "opaque",
        }
        lines = [
            f"{name}{written[0]}:{written[1]}"
            for name in ("RRULE", "EXDATE", "RDATE")
            for written in event.get(name, ())
        ]
        if lines:
            found["recurrence"] = lines
        if attendees := [_attendee(written) for written in event.get("ATTENDEE", ())]:
            found["attendees"] = attendees
        return found

    def _moment(self, written: Property) -> JSON:
        """DTSTART, DTEND or RECURRENCE-ID as start, end or originalStartTime."""
        text = written[1]
        if "T" not in text:
            return {"date": date.fromisoformat(text).isoformat()}
        zone = "UTC" if text.endswith("Z") else parameters(written[0]).get("TZID", self.time_zone)
        return moment(datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S").replace(tzinfo=ZoneInfo(zone)), zone)

    @property
    def time_zone(self) -> str:
        return self.google.calendars.calendars[ALICE].time_zone

    @time_zone.setter
    def time_zone(self, name: str) -> None:
        self.google.calendars.calendars[ALICE].time_zone = name


def _value(event: Event, name: str) -> str:
    return event.get(name, [("", "")])[0][1]


def _usual_end(start: JSON) -> JSON:
    """Google knows no event without an end."""
    if "date" in start:
        return {"date": (date.fromisoformat(start["date"]) + timedelta(days=1)).isoformat()}
    return start


def _attendee(written: Property) -> JSON:
    answers = {"": "needsAction", "needs-action": "needsAction"}
    answer = parameters(written[0]).get("PARTSTAT", "").lower()
    mail = written[1].removeprefix("mailto:")
    return {
        "email": mail,
        "responseStatus": answers.get(answer, answer),
        **({"self": True} if mail == ALICE else {}),
    }


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
