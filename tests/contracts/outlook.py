"""The simulated Graph as the contract sees it: a mailbox with one calendar, into which events are put as iCalendar."""

from datetime import datetime, timedelta
from typing import Any

from integrations.contentlines import Event, parameters, read
from integrations.outlook.provider import OutlookProvider
from tests.contracts.faults import over_http
from tests.simulators.graph import GraphSimulator
from tests.simulators.graph.server import error, throttled

_STATUSES: dict[str, dict[str, Any]] = {"TENTATIVE": {"showAs": "tentative"}, "CANCELLED": {"isCancelled": True}}


class OutlookVendor:
    provider = OutlookProvider
    name = "outlook"
    faults = over_http(throttled=throttled("120"), forbidden=error(403, "ErrorAccessDenied"))

    def __init__(self, simulator: GraphSimulator) -> None:
        self.simulator = simulator
        self.mailbox = simulator.alice
        self.calendar = self.mailbox.add_calendar("work")
        self.credentials: dict[str, Any] = {}
        self._token = simulator.sign_in.access_token()
        self.stored = {"access_token": self._token, "refresh_token": "none"}

    def access_token(self, refused: str) -> str:
        """As the engine's: the token, and another one for one that was refused."""
        if refused == self._token:
            self._token = self.simulator.sign_in.access_token()
        return self._token

    def put(self, name: str, text: str) -> None:
        """A single event; or a series as far as Exchange would make instances of it."""
        events = read(text).events
        with self.simulator.lock:
            if "RRULE" in events[0]:
                self._put_series(name, events[0], events[1:])
            else:
                start, minutes, zone = _times(events[0])
                self.mailbox.put("work", name, start, minutes=minutes, zone=zone, **self._facts(events[0]))

    def _put_series(self, name: str, master: Event, overrides: list[Event]) -> None:
        """Weekly, ten times; dates and instances that the object excepts are taken out or changed."""
        assert _value(master, "RRULE").startswith("FREQ=WEEKLY")
        start, minutes, zone = _times(master)
        first = datetime.fromisoformat(start)
        self.mailbox.put_series("work", name, start, count=10, minutes=minutes, zone=zone, **self._facts(master))
        for _, value in master.get("EXDATE", ()):
            self.mailbox.delete_occurrence("work", name, _number(value, first))
        for override in overrides:
            facts = self._facts(override)
            number = _number(_value(override, "RECURRENCE-ID"), first)
            self.mailbox.change_occurrence("work", name, number, _times(override)[0], **facts)

    def _facts(self, event: Event) -> dict[str, Any]:
        facts: dict[str, Any] = {"subject": _value(event, "SUMMARY"), **_STATUSES.get(_value(event, "STATUS"), {})}
        if _value(event, "TRANSP") == "TRANSPARENT":
            facts["showAs"] = "free"
        for given, mail in event.get("ATTENDEE", ()):
            # Graph tells the mailbox owner's answer apart from those of the others.
            if mail == f"mailto:{self.mailbox.email}":
                answer = parameters(given)["PARTSTAT"].lower()
                facts["responseStatus"] = {"response": answer, "time": "2026-01-05T08:00:00Z"}
        return facts

    def delete(self, name: str) -> None:
        with self.simulator.lock:
            self.mailbox.delete("work", name)

    def id_of(self, name: str) -> str:
        return self.mailbox.id_of("work", name)

    def lose_cursors(self) -> None:
        self.simulator.lose_cursors()

    def drop_calendar(self) -> None:
        with self.simulator.lock:
            self.mailbox.drop_calendar("work")

    def requests(self) -> int:
        return len(self.simulator.asked)

    def fail(self, way: str, *, on: int = 1) -> None:
        self.simulator.fail(self.faults[way], on=on, times=2)

    def recover(self) -> None:
        self.simulator.recover()

    def forget(self, *names: str) -> None:
        for name in names:
            self.delete(name)
        self.lose_cursors()


def _value(event: Event, name: str) -> str:
    return event[name][0][1] if name in event else ""


def _times(event: Event) -> tuple[str, int, str]:
    """Start on its own clock, minutes, and the zone's name."""
    given, value = event["DTSTART"][0]
    start, end = _wall(value), _wall(_value(event, "DTEND")) if "DTEND" in event else None
    minutes = int((end - start) / timedelta(minutes=1)) if end else 0
    if len(value) == 8:
        return start.date().isoformat(), minutes, "UTC"
    return start.isoformat(), minutes, parameters(given).get("TZID", "UTC") if given else "UTC"


def _wall(value: str) -> datetime:
    return datetime.strptime(value.rstrip("Z"), "%Y%m%dT%H%M%S" if "T" in value else "%Y%m%d")


def _number(value: str, first: datetime) -> int:
    return (_wall(value) - first) // timedelta(days=7) + 1
