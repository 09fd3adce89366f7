"""Google's events as tests write them, and what Google adds of its own."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

JSON = dict[str, Any]


def timed(start: str, *, minutes: int = 60, zone: str = "UTC", **fields: Any) -> JSON:
    """An event from `start` on ("2026-03-20T09:00", on the clocks of `zone`); `fields` are further members."""
    begin = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    end = (begin.astimezone(UTC) + timedelta(minutes=minutes)).astimezone(ZoneInfo(zone))
    return {"start": moment(begin, zone), "end": moment(end, zone), **fields}


def dates(first: str, *, days: int = 1, **fields: Any) -> JSON:
    """An all-day event from the date `first` on; its end is exclusive."""
    return {
        "start": {"date": first},
        "end": {"date": (date.fromisoformat(first) + timedelta(days=days)).isoformat()},
        **fields,
    }


def moment(at: datetime, zone: str) -> JSON:
    return {"dateTime": at.isoformat(timespec="seconds"), "timeZone": zone}


def stamp(at: datetime) -> str:
    """As `updated` has it: UTC, milliseconds."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def original_of(master: JSON, original: str) -> JSON:
    """`originalStartTime` of the instance that starts at `original`, written as the master's start is."""
    if "date" in master["start"]:
        return {"date": original}
    zone = master["start"].get("timeZone", "UTC")
    return moment(datetime.fromisoformat(original).replace(tzinfo=ZoneInfo(zone)), zone)


def instance_id(master_id: str, original: JSON) -> str:
    """What Google makes of the series' id and the original start."""
    if "date" in original:
        return f"{master_id}_{original['date'].replace('-', '')}"
    return f"{master_id}_{datetime.fromisoformat(original['dateTime']).astimezone(UTC):%Y%m%dT%H%M%SZ}"


def span(event: JSON, zone: str) -> tuple[datetime, datetime]:
    """Start and end as instants; dates are read in the calendar's zone."""
    start, end = (_instant(event[name], zone) for name in ("start", "end"))
    return start, end


def overlaps(event: JSON, time_min: datetime | None, time_max: datetime | None, zone: str) -> bool:
    """timeMin: "Lower bound (exclusive) for an event's end time", timeMax: "Upper bound (exclusive) for an event's
    start time". A series is there from its first instance to its rule's UNTIL."""
    start, end = span(event, zone)
    if lines := event.get("recurrence"):
        end = max(end, _last(lines))
    return (time_min is None or end > time_min) and (time_max is None or start < time_max)


def _last(lines: list[str]) -> datetime:
    ends = [part[6:14] for line in lines for part in line.split(":", 1)[1].split(";") if part.startswith("UNTIL=")]
    return max(
        (datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=2) for text in ends),
        default=datetime.max.replace(tzinfo=UTC),
    )


def _instant(written: JSON, zone: str) -> datetime:
    if "date" in written:
        return datetime.fromisoformat(written["date"]).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return datetime.fromisoformat(written["dateTime"]).astimezone(UTC)
