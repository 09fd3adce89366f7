"""Recurring bookings: "cancel all remaining" is told of one occurrence, and means those that were booked with it.

Which these are nobody says; see docs/adr/0065. What is concluded here is written into the registers as a mark, which a
later word about the occurrence undoes, and depends on the registers alone: the order of messages does not matter.
"""

from datetime import datetime, timedelta

from calendars.models import MeetingUid
from integrations.calcom.register import Register, entry_of, put, stamp, told
from tenancy.models import Company

# Occurrences that are booked by one form are made one after the other.
TOGETHER = timedelta(minutes=10)
# Cal.com books at most so many at once by far.
MOST = 500


def joined(row: MeetingUid, series: str, said_at: datetime) -> None:
    """The booking is one of this series, and was booked at `said_at` or before."""
    row.series = series
    at = said_at.isoformat()
    row.said["booked"] = min(row.said.get("booked", at), at)


def called_off(row: MeetingUid, start: datetime, said_at: datetime) -> None:
    """Whatever of the row's series begins after `start` is called off."""
    put(row.said, "marks", "rest off", start.isoformat(), stamp(said_at, None))


def stands(said: Register, said_at: datetime) -> None:
    """The booking itself is spoken of as one that stands."""
    put(said, "marks", "off", False, stamp(said_at, None))


def is_off(said: Register) -> bool:
    entry = entry_of([said], "marks", "off")
    return bool(entry and entry[1])


def affected(company: Company, row: MeetingUid) -> list[str]:
    """Marks the row if another of its series called it off; the uids of those that the row itself calls off, sorted."""
    others = list(MeetingUid.objects.filter(company=company, series=row.series).exclude(pk=row.pk)[:MOST])
    for other in others:
        conclude(other, row)
    return sorted(other.uid for other in others if _covers(row, other) and not is_off(other.said))


def conclude(teller: MeetingUid, row: MeetingUid) -> None:
    """Mark the row as off where `teller` says so."""
    if _covers(teller, row):
        rest = entry_of([teller.said], "marks", "rest off")
        assert rest is not None
        put(row.said, "marks", "off", True, rest[0])


def _covers(teller: MeetingUid, row: MeetingUid) -> bool:
    rest, when = entry_of([teller.said], "marks", "rest off"), told(row.said, "when")
    booked = [one.said.get("booked") for one in (teller, row)]
    if rest is None or when is None or None in booked or teller.pk == row.pk:
        return False
    first, second = (datetime.fromisoformat(at) for at in booked if at)
    begins = datetime.fromisoformat(when[1][0])
    return abs(first - second) <= TOGETHER and begins > datetime.fromisoformat(rest[1])
