"""From Google's event to the ledger's entry, by way of the iCalendar properties that it stands for.

https://developers.google.com/workspace/calendar/api/v3/reference/events
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from busyblocks import zones as ledger_zones
from busyblocks.entries import Entry, folded_id
from busyblocks.moments import compact
from integrations import zones
from integrations.contentlines import Event, Property, readable, split_line
from integrations.google.client import JSON, text_of
from integrations.ical import NotUnderstood, Reader

# Google marks the row of the calendar's owner itself; the address in it may be an alias.
_OWNER = "self"
_OWNER_PROPERTY: Property = ("", f"mailto:{_OWNER}")
_SERIES = frozenset({"RRULE", "EXRULE", "RDATE", "EXDATE"})
# "<id of the series>_<original start>", of instances; the later halves of split series end in "_R…" instead.
_INSTANCE_ID = re.compile(r"(?P<series>.+)_(?P<start>\d{8}(?:T\d{6}Z)?)", re.ASCII | re.DOTALL)
_TEXTS = (("summary", "SUMMARY"), ("description", "DESCRIPTION"), ("location", "LOCATION"))
# Members whose words become a property's, and what an unknown word means; "" where the property is then left out. An
# unknown kind of event counts as busy, as an unknown answer does.
_WORDS = (
    ("status", "STATUS", {"cancelled": "CANCELLED", "tentative": "TENTATIVE"}, ""),
    ("transparency", "TRANSP", {"transparent": "TRANSPARENT"}, ""),
    ("visibility", "CLASS", {"default": "", "public": "", "confidential": "CONFIDENTIAL"}, "PRIVATE"),
    ("eventType", "X-MICROSOFT-CDO-BUSYSTATUS", {"workingLocation": "WORKINGELSEWHERE", "outOfOffice": "OOF"}, ""),
)
_ANSWERS = {"needsAction": "NEEDS-ACTION", "declined": "DECLINED", "tentative": "TENTATIVE"}


@dataclass(frozen=True, slots=True)
class Identity:
    """What an item is. series: the id of the series that it is an instance of, "" for masters and single events.

    original: RECURRENCE-ID of an instance as the ledger writes it, "" if Google does not say.
    """

    id: str
    series: str = ""
    original: str = ""
    cancelled: bool = False

    @property
    def external_event_id(self) -> str:
        """Under which the ledger keeps it: an instance under its series."""
        return folded_id(self.series or self.id)


def identity_of(item: JSON) -> Identity:
    """An instance is known by its series and original start.

    Of a deleted one the id alone is sure; it is made of both.
    """
    id_ = text_of(item, "id")
    cancelled = item.get("status") == "cancelled"
    series = text_of(item, "recurringEventId")
    original = _original(item.get("originalStartTime"))
    if match := _INSTANCE_ID.fullmatch(id_):
        if cancelled and not series:
            series = match["series"]
        if series == match["series"]:
            original = original or match["start"]
    return Identity(id_, series, original if series else "", cancelled)


def entry_of(item: JSON, identity: Identity, *, time_zone: str) -> Entry:
    """The entry of a single event, a master, or an instance with values of its own; `time_zone`: the calendar's, IANA.

    Whoever the owner is, their own answer decides. Raises `NotUnderstood`.
    """
    if identity.series and not identity.original:
        raise NotUnderstood("It is an instance of a series, and does not say which.")
    try:
        event = _properties(item, identity, time_zone)
    except OverflowError:
        raise NotUnderstood("It lies outside the years that can be reckoned with.") from None
    return _reader(time_zone).entry(event, external_event_id=identity.external_event_id, etag=text_of(item, "etag"))


def cancelled_instance(identity: Identity) -> Entry:
    """The entry that takes an instance away from its series. Raises `NotUnderstood`."""
    return entry_of({"status": "cancelled"}, identity, time_zone="UTC")


@lru_cache(maxsize=64)
def _reader(time_zone: str) -> Reader:
    return Reader(owner_email=_OWNER, time_zone=time_zone)


def _properties(item: JSON, identity: Identity, time_zone: str) -> Event:
    event: Event = {"UID": [("", readable(text_of(item, "iCalUID")))]}
    if sequence := item.get("sequence"):
        event["SEQUENCE"] = [("", str(sequence))]
    for name, property_name, meanings, otherwise in _WORDS:
        if name in item and (word := text_of(item, name)) and (meaning := meanings.get(word, otherwise)):
            event[property_name] = [("", meaning)]
    for name, property_name in _TEXTS:
        if name in item and (text := text_of(item, name)):
            event[property_name] = [("", readable(text).replace("\\", "\\\\"))]
    lines = [] if identity.series else item.get("recurrence") or []
    recurs = bool(lines)
    if isinstance(item.get("start"), dict):
        event["DTSTART"] = [_moment(item["start"], time_zone, recurs=recurs)]
    if isinstance(item.get("end"), dict):
        event["DTEND"] = [_moment(item["end"], time_zone, recurs=recurs)]
    if identity.series:
        event["RECURRENCE-ID"] = [("", identity.original)]
    elif recurs:
        _add_series(event, lines)
    _add_answer(event, item)
    return event


def _add_series(event: Event, lines: Any) -> None:
    for line in lines if isinstance(lines, list) else (None,):
        parts = split_line(line) if isinstance(line, str) else None
        if parts is None or parts[0] not in _SERIES:
            raise NotUnderstood("One of the lines by which it recurs is none.")
        event.setdefault(parts[0], []).append((parts[1], parts[2]))


def _add_answer(event: Event, item: JSON) -> None:
    attendees = item.get("attendees")
    attendees = attendees if isinstance(attendees, list) else []
    own = [one for one in attendees if isinstance(one, dict) and one.get("self") is True]
    if own and (answer := _ANSWERS.get(text_of(own[0], "responseStatus"))):
        event["ATTENDEE"] = [(f";PARTSTAT={answer}", _OWNER_PROPERTY[1])]
    organizer = item.get("organizer")
    if "ATTENDEE" in event and isinstance(organizer, dict) and organizer.get("self") is True:
        event["ORGANIZER"] = [_OWNER_PROPERTY]


def _moment(written: Mapping[str, Any], time_zone: str, *, recurs: bool) -> Property:
    """`start` or `end` as DTSTART or DTEND. In UTC where the zone is unknown or would not lead back to the instant."""
    if date := written.get("date"):
        return ";VALUE=DATE", str(date).replace("-", "")
    named = written.get("timeZone") or time_zone
    name = zones.iana_name(named) if isinstance(named, str) else ""
    try:
        moment = datetime.fromisoformat(written["dateTime"])
    except (KeyError, TypeError, ValueError):
        raise NotUnderstood("It has a time that is none.") from None
    if not name and (recurs or moment.tzinfo is None):
        raise NotUnderstood(f"Its time zone {str(named)[:80]!r} is unknown.")
    if moment.tzinfo is None:
        return f";TZID={name}", compact(moment.replace(microsecond=0))
    rules = ledger_zones.zone(name or "UTC")
    wall = moment.astimezone(rules)
    if name in {"", "UTC"} or (wall.fold and not recurs):
        return "", compact(moment.astimezone(UTC).replace(microsecond=0))
    return f";TZID={name}", compact(wall.replace(microsecond=0, tzinfo=None))


def _original(written: Any) -> str:
    """`originalStartTime` as "20260320" or "20260320T090000Z"; "" for none and for what cannot be read."""
    if not isinstance(written, dict):
        return ""
    if date := written.get("date"):
        return str(date).replace("-", "")
    try:
        moment = datetime.fromisoformat(written["dateTime"])
        if moment.tzinfo is None:
            name = zones.iana_name(str(written.get("timeZone")))
            if not name:
                return ""
            moment = moment.replace(tzinfo=ledger_zones.zone(name))
        return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    except (KeyError, TypeError, ValueError, OverflowError):
        return ""
