"""The demo's CalDAV server (Radicale) and what stands in its two sample calendars."""

import sys
import urllib.error
import urllib.request
from base64 import b64encode
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, vRecur

USER = "demo"
BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)

RADICALE_CONFIG = """\
[server]
hosts = 127.0.0.1:{port}
[auth]
type = htpasswd
htpasswd_filename = {folder}/users
htpasswd_encryption = plain
delay = 0
[rights]
type = owner_only
[storage]
filesystem_folder = {folder}/collections
[web]
type = none
[logging]
level = warning
"""

_MKCALENDAR = """\
<?xml version="1.0" encoding="utf-8"?>
<C:mkcalendar xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:I="http://apple.com/ns/ical/">
 <set><prop>
  <displayname>{name}</displayname>
  <I:calendar-color>{color}</I:calendar-color>
  <C:supported-calendar-component-set><C:comp name="VEVENT"/></C:supported-calendar-component-set>
 </prop></set>
</C:mkcalendar>
"""


class SampleServer:
    """Radicale with one user; its files live in `folder` and outlive it."""

    def __init__(self, folder: Path, *, port: int, password: str) -> None:
        self.folder = folder
        self.port = port
        self.password = password
        self.url = f"http://127.0.0.1:{port}/{USER}/"

    def command(self) -> list[str]:
        """How to start it; writes the files that it reads."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "users").write_text(f"{USER}:{self.password}\n")
        (self.folder / "config").write_text(RADICALE_CONFIG.format(port=self.port, folder=self.folder))
        return [sys.executable, "-m", "radicale", "--config", str(self.folder / "config")]

    def answers(self) -> bool:
        try:
            self._request("PROPFIND", "", "", {"Depth": "0"})
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    def fill(self, today: date) -> None:
        """Make the two calendars, with events around `today`; a calendar that exists keeps what it has."""
        for name, (title, color, events) in sample_calendars(today).items():
            if (self.folder / "collections" / "collection-root" / USER / name).exists():
                continue
            self._request("MKCALENDAR", f"{name}/", _MKCALENDAR.format(name=escape(title), color=color), {})
            for event in events:
                uid = str(event.walk("VEVENT")[0]["uid"])
                self._request("PUT", f"{name}/{uid}.ics", event.to_ical().decode(), {"Content-Type": "text/calendar"})

    def _request(self, method: str, path: str, body: str, headers: dict[str, str]) -> None:
        credentials = b64encode(f"{USER}:{self.password}".encode()).decode()
        request = urllib.request.Request(
            self.url + path,
            data=body.encode() or None,
            method=method,
            headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/xml", **headers},
        )
        with urllib.request.urlopen(request, timeout=10):
            pass


def sample_calendars(today: date) -> dict[str, tuple[str, str, list[Calendar]]]:
    """Collection name → title, colour and calendar objects, one per UID as RFC 4791 §4.1 wants them."""
    monday = today - timedelta(days=today.weekday())
    return {
        "work": ("Work", "#1f6feb", _work(monday)),
        "private": ("Private", "#2da44e", _private(monday)),
    }


def _work(monday: date) -> list[Calendar]:
    def at(day: int, hour: int, minute: int = 0, zone: ZoneInfo = BERLIN) -> datetime:
        return datetime(monday.year, monday.month, monday.day, hour, minute, tzinfo=zone) + day * _DAY

    team = _event("team-meeting", "Team meeting", at(-14, 10), at(-14, 10, 45), location="Room 2")
    team.add("rrule", vRecur({"FREQ": "WEEKLY", "BYDAY": "MO"}))
    moved = _event("team-meeting", "Team meeting (moved)", at(8, 14), at(8, 14, 45), location="Room 2")
    moved.add("recurrence-id", at(7, 10))
    moved.add("sequence", 1)
    cancelled = _event("team-meeting", "Team meeting", at(14, 10), at(14, 10, 45), status="CANCELLED")
    cancelled.add("recurrence-id", at(14, 10))
    stand_up = _event("stand-up", "Stand-up", at(-7, 9, 15), at(-7, 9, 30))
    stand_up.add("rrule", vRecur({"FREQ": "WEEKLY", "BYDAY": ["MO", "TU", "WE", "TH", "FR"]}))
    stand_up.add("exdate", at(4, 9, 15))
    return [
        _object(team, moved, cancelled),
        _object(stand_up),
        _object(_event("quarterly-review", "Quarterly review", at(3, 13), at(3, 15))),
        _object(_event("new-york-call", "Call with New York", at(2, 11, zone=NEW_YORK), at(2, 12, zone=NEW_YORK))),
        _object(_event("offer-draft", "Offer: first draft", at(1, 15), at(1, 16, 30), status="TENTATIVE")),
        _object(_event("release-window", "Release window", at(4, 16), at(4, 18), transparent=True)),
    ]


def _private(monday: date) -> list[Calendar]:
    evening = datetime(monday.year, monday.month, monday.day, 18, 30, tzinfo=BERLIN)
    training = _event("training", "Training", evening + _DAY, evening + _DAY + 1.5 * _HOUR)
    training.add("rrule", vRecur({"FREQ": "WEEKLY", "BYDAY": ["TU", "TH"], "COUNT": 20}))
    dentist = evening.replace(hour=8, minute=0) + 9 * _DAY
    return [
        _object(training),
        _object(_event("dentist", "Dentist", dentist, dentist + _HOUR, private=True)),
        _object(_event("holiday", "Long weekend", monday + 18 * _DAY, monday + 22 * _DAY)),
        _object(_event("birthday", "Sam's birthday", monday + 5 * _DAY, monday + 6 * _DAY, transparent=True)),
    ]


def _event(
    uid: str,
    title: str,
    start: date,
    end: date,
    *,
    location: str = "",
    status: str = "CONFIRMED",
    transparent: bool = False,
    private: bool = False,
) -> Event:
    event = Event()
    event.add("uid", f"{uid}@sample.invalid")
    event.add("dtstamp", datetime.now(UTC).replace(microsecond=0))
    event.add("summary", title)
    event.add("dtstart", start)
    event.add("dtend", end)
    event.add("status", status)
    if location:
        event.add("location", location)
    if transparent:
        event.add("transp", "TRANSPARENT")
    if private:
        event.add("class", "PRIVATE")
    return event


def _object(*events: Event) -> Calendar:
    calendar = Calendar()
    calendar.add("version", "2.0")
    calendar.add("prodid", "-//Sample calendars//EN")
    for event in events:
        calendar.add_component(event)
    calendar.add_missing_timezones()
    return calendar
