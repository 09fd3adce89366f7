"""From Graph's event to the ledger's entry.

https://learn.microsoft.com/graph/api/resources/event
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from busyblocks.entries import Entry, fbtype_of, folded_id
from busyblocks.models import Classification, EventStatus, Transparency
from busyblocks.zones import to_wall
from busyblocks.zones import zone as zone_rules
from integrations import zones
from integrations.contentlines import readable
from integrations.ical import (
    EARLIEST_YEAR,
    LATEST_YEAR,
    LONGEST_EVENT,
    LONGEST_TEXT,
    LONGEST_TITLE,
    NotUnderstood,
    folded_etag,
)

Item = Mapping[str, Any]

# What an occurrence of a series leaves out where it is as its master has it.
INHERITED = (
    "subject",
    "bodyPreview",
    "location",
    "showAs",
    "sensitivity",
    "isCancelled",
    "isAllDay",
    "responseStatus",
    "originalStartTimeZone",
)
_CUSTOM_ZONE = "tzone://microsoft/custom"
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(Z?)", re.ASCII)
# A value that is not known is read as the safest that there is: busy, private.
_CLASSES = {
    "": Classification.PUBLIC,
    "normal": Classification.PUBLIC,
    "confidential": Classification.CONFIDENTIAL,
}


def id_of(item: Item) -> str:
    """The event's id as the ledger keys it; "" for none."""
    return folded_id(_text(item.get("id")))


def series_of(item: Item) -> str:
    """The id of the series that the event is an instance of, "" for none; unfolded, to ask for."""
    return _text(item.get("seriesMasterId"))


def is_master(item: Item) -> bool:
    """Whether it is a series; its own start and end are those of its first occurrence."""
    kind = _text(item.get("type"))
    return kind == "seriesMaster" or (not kind and bool(item.get("recurrence")))


def is_sparse(item: Item) -> bool:
    """Whether an instance says so little that the rest has to come from its series."""
    return any(name not in item for name in INHERITED)


def heritage(master: Item) -> dict[str, Any]:
    """What a series hands down to its occurrences."""
    return {name: master.get(name) for name in INHERITED} | {"etag": etag_of(master)}


def completed(item: Item, inherited: Item) -> dict[str, Any]:
    """An occurrence with what it leaves out; what it says itself stays, its own version too."""
    etag = etag_of(item) or _text(inherited.get("etag"))
    return {**{name: inherited.get(name) for name in INHERITED}, **item, "changeKey": etag, "@odata.etag": etag}


def etag_of(item: Item) -> str:
    """The remote's version of the event."""
    return folded_etag(_text(item.get("@odata.etag")) or _text(item.get("changeKey")))


def entry_of(item: Item) -> Entry:
    """The entry of a single event, or of one instance of a series, already completed.

    Each is a row of its own, without a rule; `series_id` names the series. Times were asked for in UTC. The title is
    cut at 2,000 characters; the description is the vendor's plain preview of the body. Raises `NotUnderstood`.
    """
    start, end, zone = _dates(item) if item.get("isAllDay") else _times(item)
    if end < start:
        raise NotUnderstood("It ends before it starts.")
    if not EARLIEST_YEAR <= start.year <= LATEST_YEAR or end.year > LATEST_YEAR:
        raise NotUnderstood(f"It starts in the year {start.year}.")
    if end - start > LONGEST_EVENT:
        raise NotUnderstood("It lasts more than 100 years.")
    all_day = bool(item.get("isAllDay"))
    show_as = _text(item.get("showAs"))
    transparency = Transparency.TRANSPARENT if show_as in {"free", "workingElsewhere"} else Transparency.OPAQUE
    status = EventStatus.TENTATIVE if show_as == "tentative" else EventStatus.CONFIRMED
    if item.get("isCancelled"):
        status = EventStatus.CANCELLED
    return Entry(
        external_event_id=id_of(item),
        series_id=folded_id(series_of(item)),
        etag=etag_of(item),
        # Each occurrence has a UID of its own, and a sparse one does not tell it.
        uid=folded_id(_text(item.get("iCalUId"))),
        title=_cut(item.get("subject"), LONGEST_TITLE),
        description=_cut(item.get("bodyPreview"), LONGEST_TEXT),
        location=_cut(_member(item, "location", "displayName"), LONGEST_TEXT),
        start_time=start,
        end_time=end,
        all_day=all_day,
        time_zone=zone,
        local_start="" if zone == "UTC" else f"{to_wall(start, zone_rules(zone)):%Y%m%dT%H%M%S}",
        transparency=transparency,
        status=status,
        fbtype=fbtype_of(
            transparency=transparency,
            status=status,
            # What else they answered already stands in showAs, which they can set against it.
            answer="declined" if _member(item, "responseStatus", "response") == "declined" else "",
            unavailable=show_as == "oof",
        ),
        classification=_CLASSES.get(_text(item.get("sensitivity")), Classification.PRIVATE),
    )


def _times(item: Item) -> tuple[datetime, datetime, str]:
    """Start and end, UTC, and the IANA zone in which the event was written, UTC if that has no name."""
    start, end = (_instant(item, name) for name in ("start", "end"))
    return start, end, zones.iana_name(_text(item.get("originalStartTimeZone"))) or "UTC"


def _dates(item: Item) -> tuple[datetime, datetime, str]:
    """First date and the one after the last, at 00:00 UTC. Dates have no zone: they are not shifted."""
    first, last = (_date(item, name) for name in ("start", "end"))
    return first, last if last != first else first + timedelta(days=1), "UTC"


def _date(item: Item, name: str) -> datetime:
    wall, zone, is_utc = _written(item, name)
    if wall.time() != datetime.min.time():
        # An all-day event starts and ends at midnight, whatever the zone; here somebody has shifted it.
        written_in = zones.iana_name(_text(item.get("originalStartTimeZone")))
        if not written_in:
            raise NotUnderstood("It lasts all day and does not start at midnight.")
        instant = wall.replace(tzinfo=UTC) if is_utc else _zone(zone).to_utc(wall)
        wall = to_wall(instant, zone_rules(written_in))
        if wall.time() != datetime.min.time():
            raise NotUnderstood("It lasts all day and does not start at midnight.")
    return wall.replace(tzinfo=UTC)


def _instant(item: Item, name: str) -> datetime:
    wall, zone, is_utc = _written(item, name)
    return wall.replace(tzinfo=UTC) if is_utc else _zone(zone).to_utc(wall)


def _written(item: Item, name: str) -> tuple[datetime, str, bool]:
    """The wall time, whole seconds, its zone's name, and whether it is UTC."""
    text, zone = _member(item, name, "dateTime"), _member(item, name, "timeZone")
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise NotUnderstood(f"{text[:40]!r} is not a time." if text else f"It has no {name}.")
    try:
        wall = datetime.fromisoformat(match[1])
    except ValueError:
        raise NotUnderstood(f"{text[:40]!r} is not a time.") from None
    return wall, zone, bool(match[2]) or zone.upper() in {"", "UTC"}


def _zone(name: str) -> zones.Zone:
    if name.casefold() == _CUSTOM_ZONE:
        raise NotUnderstood("Its time zone is of the sender's own making, and Microsoft does not describe it.")
    known = zones.iana_name(name)
    if not known:
        raise NotUnderstood(f"Its time zone {name[:80]!r} is unknown.")
    return zones.iana(known)


def _cut(value: Any, longest: int) -> str:
    text = readable(value) if value and isinstance(value, str) else ""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _member(item: Item, name: str, inner: str) -> str:
    value = item.get(name)
    return _text(value.get(inner)) if isinstance(value, dict) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
