"""From the text of one calendar object resource to entries of the ledger, or to the reason why not (RFC 5545)."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from busyblocks import recurrence, rules
from busyblocks.entries import Entry, fbtype_of, folded_id
from busyblocks.errors import LedgerError
from busyblocks.models import Classification, EventStatus, Transparency
from integrations import zones
from integrations.contentlines import Event, Malformed, Property, parameters, read, unescaped

LARGEST_OBJECT_BYTES = 4 * 1024 * 1024
MOST_COMPONENTS = 5_000
MOST_DATES = 5_000
LONGEST_TITLE = 2_000
LONGEST_TEXT = 64 * 1024
LONGEST_EVENT = timedelta(days=366 * 100)
LONGEST_INSTANCE = timedelta(days=366 * 2)
EARLIEST_YEAR, LATEST_YEAR = 1000, 9000

_TIME = re.compile(r"(\d{8})(?:T(\d{4})(\d\d)(Z?))?", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(
    r"\+?P(?:(\d{1,6})W|(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,8})S)?)?)", re.ASCII
)
_ANSWERS = frozenset({"accepted", "declined", "tentative", "needs-action", "delegated"})
_STATUSES = {"TENTATIVE": EventStatus.TENTATIVE, "CANCELLED": EventStatus.CANCELLED}
# A value that is not known is to be treated as PRIVATE (§3.8.1.3).
_CLASSES = {"": Classification.PUBLIC, "PUBLIC": Classification.PUBLIC, "CONFIDENTIAL": Classification.CONFIDENTIAL}
_ABSENT: Property = ("", "")


class NotUnderstood(Exception):
    """The object exists and cannot be put into the ledger without loss or guessing. `reason` is for people."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """What the text alone does not say: whose calendar it is, and the zone of its floating times.

    owner_email: decides whose answer counts; time_zone: IANA, "" or unknown for UTC.
    """

    owner_email: str = ""
    time_zone: str = ""
    _floating: zones.Zone = field(init=False, repr=False)
    _owner: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_floating", zones.iana(zones.iana_name(self.time_zone) or "UTC"))
        object.__setattr__(self, "_owner", self.owner_email.strip().lower())

    def entries(self, text: str, *, external_event_id: str, etag: str = "") -> tuple[Entry, ...]:
        """The master or single event first, then the overrides by recurrence id; none for an object without events.

        Times are as `Entry` says. Of several versions of one event the highest SEQUENCE counts, then the latest
        LAST-MODIFIED and DTSTAMP. Titles are cut at 2,000 characters, descriptions and locations at 65,536. Raises
        `NotUnderstood`.
        """
        if len(text) > LARGEST_OBJECT_BYTES:
            raise NotUnderstood(f"It is larger than {LARGEST_OBJECT_BYTES // 1024 // 1024} MiB.")
        try:
            found = read(text)
        except Malformed as broken:
            raise NotUnderstood(str(broken)) from None
        if len(found.events) > MOST_COMPONENTS:
            raise NotUnderstood(f"It has more than {MOST_COMPONENTS} instances of its own.")
        if len(found.events) != 1 and len({event.get("UID", [_ABSENT])[0][1] for event in found.events}) > 1:
            raise NotUnderstood("It holds more than one event.")
        return self._understood(found.events, found.zones, external_event_id, etag)

    def entry(self, event: Event, *, external_event_id: str, etag: str = "") -> Entry:
        """As `entries`, of one event whose properties another format stands for: a master, or one override alone."""
        (entry,) = self._understood([event], [], external_event_id, etag)
        return entry

    def _understood(
        self, events: Sequence[Event], described: Sequence[Sequence[str]], external_event_id: str, etag: str
    ) -> tuple[Entry, ...]:
        work = _Object(self._floating, self._owner, described, external_event_id, folded_etag(etag))
        try:
            return work.entries(events)
        except zones.UnknownZone as unknown:
            raise NotUnderstood(str(unknown)) from None
        except OverflowError:
            raise NotUnderstood("It lies outside the years that can be reckoned with.") from None


def folded_etag(etag: str) -> str:
    """An etag as the ledger can keep it: itself, or for more than 255 characters a digest."""
    return etag if len(etag) <= 255 else f"#{hashlib.sha256(etag.encode()).hexdigest()}"


class _Time(NamedTuple):
    """A DATE or DATE-TIME: its instant (a date's 00:00 UTC), and how it was written."""

    at: datetime
    is_date: bool
    zone: zones.Zone | None  # None for UTC and for dates
    wall: datetime | None

    @property
    def text(self) -> str:
        """ "20260320" or "20260320T090000Z"."""
        return _date_text(self.at) if self.is_date else _utc_text(self.at)


class _Object:
    """One object while it is read. The methods raise NotUnderstood, zones.UnknownZone or OverflowError."""

    __slots__ = ("described", "etag", "floating", "id", "known", "owner")

    def __init__(
        self, floating: zones.Zone, owner: str, described: Sequence[Sequence[str]], external_event_id: str, etag: str
    ) -> None:
        self.floating, self.owner, self.described = floating, owner, described
        self.id, self.etag = external_event_id, etag
        self.known: dict[str, zones.Zone] = {}

    def entries(self, events: Sequence[Event]) -> tuple[Entry, ...]:
        masters = [event for event in events if "RECURRENCE-ID" not in event]
        latest = max(masters, key=_version) if len(masters) > 1 else masters[0] if masters else None
        master = self._entry(latest, None) if latest else None
        if master and master.recurring:
            try:
                recurrence.check_entry(master)
            except LedgerError as refused:
                raise NotUnderstood(str(refused)) from None
        if len(events) == len(masters):
            return (master,) if master else ()
        overrides: dict[str, tuple[tuple[str, ...], Entry]] = {}
        for event in events:
            if "RECURRENCE-ID" not in event:
                continue
            entry, version = self._entry(event, master), _version(event)
            if entry.recurrence_id not in overrides or version >= overrides[entry.recurrence_id][0]:
                overrides[entry.recurrence_id] = (version, entry)
        ordered = (overrides[recurrence_id][1] for recurrence_id in sorted(overrides))
        return (master, *ordered) if master else tuple(ordered)

    def _entry(self, event: Event, master: Entry | None) -> Entry:
        uid = folded_id(_value(event, "UID").strip())
        status = _STATUSES.get(_word(event, "STATUS"), EventStatus.CONFIRMED)
        start = self._start(event, status)
        zone = start.zone or (self.floating if start.is_date else _UTC_ZONE)
        end, duration = self._end(event, start)
        # A zone of the sender's own: the instants are exact, and a series in it has no name to recur under.
        named = bool(zone.name)
        recurrence_id, this_and_future = "", False
        rule = ""
        rdates: tuple[str, ...] = ()
        exdates: tuple[str, ...] = ()
        if "RECURRENCE-ID" in event:
            recurrence_id, this_and_future = self._recurrence_id(event, start, master)
        elif event.keys() & _SERIES:
            rule, rdates, exdates = self._series(event, start, end, named)
        transparency = Transparency.TRANSPARENT if _word(event, "TRANSP") == "TRANSPARENT" else Transparency.OPAQUE
        return Entry(
            external_event_id=self.id,
            etag=self.etag,
            uid=uid,
            recurrence_id=recurrence_id,
            this_and_future=this_and_future,
            sequence=_sequence(event),
            title=_text(event, "SUMMARY", LONGEST_TITLE),
            description=_text(event, "DESCRIPTION", LONGEST_TEXT),
            location=_text(event, "LOCATION", LONGEST_TEXT),
            start_time=start.at,
            end_time=end,
            all_day=start.is_date,
            time_zone=zone.name or "UTC",
            local_start=_wall_text(start.wall) if start.wall and named else "",
            duration=duration,
            recurrence_rule=rule,
            rdates=rdates,
            exdates=exdates,
            transparency=transparency,
            status=status,
            fbtype=self._fbtype(event, transparency, status),
            classification=_CLASSES.get(_word(event, "CLASS"), Classification.PRIVATE),
        )

    def _start(self, event: Event, status: str) -> _Time:
        if "DTSTART" not in event:
            # Some calendars name a cancelled instance by its recurrence id alone.
            if status != EventStatus.CANCELLED or "RECURRENCE-ID" not in event:
                raise NotUnderstood("It has no start.")
            return self._time(event["RECURRENCE-ID"][0], self.floating)
        start = self._time(event["DTSTART"][0], self.floating)
        if not EARLIEST_YEAR <= start.at.year <= LATEST_YEAR:
            raise NotUnderstood(f"It starts in the year {start.at.year}.")
        return start

    def _end(self, event: Event, start: _Time) -> tuple[datetime, str]:
        """The end, UTC, and the DURATION if it was written with one (timed events only)."""
        end, duration = start.at, ""
        if "DTEND" in event:
            end = self._written_end(event["DTEND"][0], start)
        elif "DURATION" in event:
            duration = event["DURATION"][0][1].strip().upper()
            nominal, exact = _duration(duration)
            if start.is_date:
                # Dates last whole days, whatever unit they are written in (§3.8.2.5 allows days and weeks only).
                if exact % timedelta(days=1):
                    raise NotUnderstood("It is a date that lasts a part of a day.")
                end, duration = start.at + nominal + exact, ""
            elif start.zone and start.wall:
                end = start.zone.to_utc(start.wall + nominal) + exact
            else:
                end = start.at + nominal + exact
        if start.is_date and end == start.at:
            end += timedelta(days=1)
        if end < start.at:
            raise NotUnderstood("It ends before it starts.")
        if end - start.at > LONGEST_EVENT or end.year > LATEST_YEAR:
            raise NotUnderstood("It lasts more than 100 years.")
        return end, duration

    def _written_end(self, written: Property, start: _Time) -> datetime:
        end = self._time(written, start.zone or self.floating)
        if end.is_date != start.is_date:
            raise NotUnderstood("Of start and end one is a date and the other a time.")
        if end.at < start.at and end.wall and start.wall and end.zone == start.zone and end.wall >= start.wall:
            # The start lies in a gap of the clock and moved forward, past the end: what was written is the length.
            return start.at + (end.wall - start.wall)
        return end.at

    def _recurrence_id(self, event: Event, start: _Time, master: Entry | None) -> tuple[str, bool]:
        written = event["RECURRENCE-ID"][0]
        # Without a zone, the instance is named in the series' own.
        floating = zones.iana(master.time_zone) if master and not master.all_day else start.zone or self.floating
        instance = self._time(written, floating)
        named_range = parameters(written[0]).get("RANGE", "").upper() if written[0] else ""
        if named_range not in {"", "THISANDFUTURE"}:
            raise NotUnderstood("It changes all instances up to one, which calendars gave up (RANGE=THISANDPRIOR).")
        all_day = master.all_day if master else instance.is_date
        return (_day_text(instance) if all_day else instance.text), bool(named_range)

    def _series(
        self, event: Event, start: _Time, end: datetime, named: bool
    ) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
        """Rule, RDATEs and EXDATEs as the ledger writes them."""
        written = [value for _, value in event.get("RRULE", ()) if value.strip()]
        if "EXRULE" in event or len(written) > 1:
            raise NotUnderstood("It recurs by several rules at once.")
        if (written or "RDATE" in event) and not named:
            raise NotUnderstood("It recurs in a time zone that follows no known rules.")
        rule = _rule(written[0]) if written else ""
        rdates = self._dates(event, "RDATE", start)
        if (rule or rdates) and end - start.at > LONGEST_INSTANCE:
            raise NotUnderstood("It recurs, and each instance lasts more than two years.")
        return rule, rdates, self._dates(event, "EXDATE", start)

    def _dates(self, event: Event, name: str, start: _Time) -> tuple[str, ...]:
        """In order, without repetition."""
        found: list[str] = []
        for parameters_text, value in event.get(name, ()):
            items = [item for item in value.split(",") if item.strip()]
            if len(found) + len(items) > MOST_DATES:
                raise NotUnderstood(f"It has more than {MOST_DATES} dates of its own ({name}).")
            found.extend(self._date(parameters_text, item, start) for item in items)
        return tuple(sorted(set(found)))

    def _date(self, parameters_text: str, item: str, start: _Time) -> str:
        floating = start.zone or (self.floating if start.is_date or start.wall else _UTC_ZONE)
        first, slash, last = item.partition("/")
        begin = self._time((parameters_text, first), floating, is_period=bool(slash))
        if start.is_date:
            return _day_text(begin)
        if not slash:
            return begin.text
        if last[:1].upper() in {"P", "+"}:
            nominal, exact = _duration(last.strip().upper())
            end = (begin.zone.to_utc(begin.wall + nominal) if begin.zone and begin.wall else begin.at + nominal) + exact
        else:
            end = self._time((parameters_text, last), floating, is_period=True).at
        if begin.is_date or end < begin.at or end - begin.at > LONGEST_INSTANCE:
            raise NotUnderstood("One of its periods is none.")
        return f"{begin.text}/{_utc_text(end)}"

    def _time(self, written: Property, floating: zones.Zone, *, is_period: bool = False) -> _Time:
        """A DATE or DATE-TIME. `20260515` is a date with or without VALUE=DATE: many write it without."""
        parameters_text, value = written
        match = _TIME.fullmatch(value.strip())
        if match is None:
            raise NotUnderstood(f"{value[:40]!r} is not a time.")
        day, minutes, seconds, is_utc = match.groups()
        given = parameters(parameters_text) if parameters_text else {}
        try:
            if minutes is None:
                return _Time(datetime.fromisoformat(day).replace(tzinfo=UTC), True, None, None)
            # A leap second is the second before it (§3.3.12).
            wall = datetime.fromisoformat(f"{day}T{minutes}{min(seconds, '59')}")
        except ValueError:
            raise NotUnderstood(f"{value[:40]!r} is not a time.") from None
        if not is_period and given.get("VALUE", "").upper() == "DATE":
            if wall.time() != datetime.min.time():
                raise NotUnderstood(f"{value[:40]!r} is not a date, though it says so.")
            return _Time(wall.replace(tzinfo=UTC), True, None, None)
        if is_utc:
            return _Time(wall.replace(tzinfo=UTC), False, None, None)
        zone = self._zone(given["TZID"]) if "TZID" in given else floating
        return _Time(zone.to_utc(wall), False, zone, wall)

    def _zone(self, tzid: str) -> zones.Zone:
        if tzid not in self.known:
            self.known[tzid] = zones.find(tzid, self.described)
        return self.known[tzid]

    def _fbtype(self, event: Event, transparency: str, status: str) -> str:
        """Outlook says more than TRANSP can: X-MICROSOFT-CDO-BUSYSTATUS (MS-OXCICAL 2.1.3.1.1.20.31)."""
        outlook = _word(event, "X-MICROSOFT-CDO-BUSYSTATUS")
        if outlook in {"FREE", "WORKINGELSEWHERE"}:
            transparency = Transparency.TRANSPARENT
        elif outlook == "TENTATIVE" and status != EventStatus.CANCELLED:
            status = EventStatus.TENTATIVE
        return fbtype_of(
            transparency=transparency,
            status=status,
            answer=self._answer(event) if "ATTENDEE" in event else "",
            unavailable=outlook == "OOF",
        )

    def _answer(self, event: Event) -> str:
        """The owner's PARTSTAT; "" where they are not asked, say nothing, or organize it, which is a yes."""
        if not self.owner:
            return ""
        for written in event["ATTENDEE"]:
            if self.owner in f"{written[0]}{written[1]}".lower() and self.owner in _mails(written):
                answer = parameters(written[0]).get("PARTSTAT", "").lower()
                organizes = any(self.owner in _mails(organizer) for organizer in event.get("ORGANIZER", ()))
                if answer in _ANSWERS and not (organizes and answer == "needs-action"):
                    return answer
        return ""


_UTC_ZONE = zones.iana("UTC")
_SERIES = frozenset({"RRULE", "EXRULE", "RDATE", "EXDATE"})


def _value(event: Event, name: str) -> str:
    return event.get(name, (_ABSENT,))[0][1]


def _word(event: Event, name: str) -> str:
    values = event.get(name)
    return values[0][1].strip().upper() if values else ""


def _text(event: Event, name: str, longest: int) -> str:
    """TEXT without its escapes (§3.3.11), cut at `longest` characters."""
    values = event.get(name)
    if not values:
        return ""
    text = unescaped(values[0][1])
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _sequence(event: Event) -> int:
    text = _value(event, "SEQUENCE").strip() if "SEQUENCE" in event else "0"
    return min(int(text), 2**31 - 1) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def _version(event: Event) -> tuple[str, ...]:
    """What orders versions of the same event; its own text breaks the tie, so that the order of lines never does."""
    facts = tuple(_value(event, name) for name in ("LAST-MODIFIED", "DTSTAMP"))
    return (f"{_sequence(event):010d}", *facts, str(sorted(event.items())))


def _mails(written: Property) -> set[str]:
    """The addresses of a calendar user; iCloud writes the mail address as a parameter of a path."""
    return {
        written[1].strip().lower().removeprefix("mailto:"),
        parameters(written[0]).get("EMAIL", "").lower().removeprefix("mailto:"),
    }


def _duration(text: str) -> tuple[timedelta, timedelta]:
    """The nominal part (weeks, days) and the exact one of a DURATION (§3.3.6)."""
    match = _DURATION.fullmatch(text)
    if match is None or text[-1] in "PT" or len(text) > 32:
        raise NotUnderstood(f"{text[:40]!r} is not a duration.")
    weeks, days, hours, minutes, seconds = (int(group or 0) for group in match.groups())
    return timedelta(weeks=weeks, days=days), timedelta(hours=hours, minutes=minutes, seconds=seconds)


def _rule(text: str) -> str:
    """The rule in upper case with FREQ first, as some calendars demand to read it."""
    parts = [part for part in rules.bare(text).split(";") if part]
    return ";".join(sorted(parts, key=lambda part: not part.startswith("FREQ=")))


def _day_text(moment: _Time) -> str:
    """The date on the clock that the time was written by."""
    return _date_text(moment.wall or moment.at)


def _date_text(moment: datetime) -> str:
    return f"{moment.year:04d}{moment.month:02d}{moment.day:02d}"


def _wall_text(wall: datetime) -> str:
    return wall.isoformat()[:19].replace("-", "").replace(":", "")


def _utc_text(moment: datetime) -> str:
    return f"{_wall_text(moment)}Z"
