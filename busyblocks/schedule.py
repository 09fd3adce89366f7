"""What the schedule page draws: one user's ledger entry by entry, or the free/busy of several side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from busyblocks import zones
from busyblocks.freebusy import of_users
from busyblocks.models import BusyBlock, EventStatus, FreeBusyType, Origin
from busyblocks.shown import instances_in
from busyblocks.timespans import Span
from tenancy.models import CrmUser

# What a drawn row takes from the database: descriptions and rules would be most of it.
_DRAWN = ("title", "location", "fbtype", "all_day", "origin_id", "source", "meeting_key")


@dataclass(frozen=True, slots=True)
class Drawn:
    """One instance as it is drawn. start, end: wall times of the zone asked for; of an all-day one, its dates' 00:00.

    lane: what gives the colour, one of `lanes`. row: the primary key of the row that says it.
    """

    row: int
    lane: str
    start: datetime
    end: datetime
    all_day: bool
    fbtype: FreeBusyType
    title: str
    location: str


@dataclass(frozen=True, slots=True)
class DrawnPeriod:
    """One period of a user's free/busy; start and end are wall times."""

    user: int
    start: datetime
    end: datetime
    fbtype: FreeBusyType


def lanes(user: CrmUser) -> dict[str, str]:
    """Where the user's entries come from: lane → name, the calendars by their names, then meetings and the rest."""
    origins = Origin.objects.filter(user=user).order_by("name", "pk")
    return {
        **{f"calendar-{origin.pk}": str(origin) for origin in origins},
        "meeting": "",
        "manual": "",
    }


def entries(user: CrmUser, span: Span, tz: tzinfo) -> list[Drawn]:
    """What the ledger has of the user in the span, by time, meetings and their synced copies once, cancelled ones not.

    Dates are read in `tz`. Three or four queries and more by thousands of rows. Raises a ValidationError naming
    `end_time` where the span holds more than lists may.
    """
    rows = BusyBlock.objects.of(user).without_copies().exclude(status=EventStatus.CANCELLED)
    places = instances_in(rows, user, span, asked=tz)
    blocks = BusyBlock.objects.only(*_DRAWN).in_bulk({place.row_pk for place in places})
    drawn = []
    for place in places:
        block = blocks.get(place.row_pk)
        if block is None:
            # Deleted since the places were read.
            continue
        start, end = _drawn_times(place.start, place.end, None if block.all_day else tz)
        drawn.append(
            Drawn(
                row=block.pk,
                lane=_lane(block),
                start=start,
                end=end,
                all_day=block.all_day,
                fbtype=FreeBusyType(block.fbtype),
                title=block.title,
                location=block.location,
            )
        )
    return drawn


def periods(users: Sequence[CrmUser], span: Span, zone_name: str) -> list[DrawnPeriod]:
    """The users' free/busy, dates read in that zone; a fixed number of queries. Raises what `of_users` raises."""
    tz = zones.zone(zone_name)
    found = of_users(users, span, zone_name)
    return [
        DrawnPeriod(user.pk, *_drawn_times(period.start, period.end, tz), period.fbtype)
        for user in users
        for period in found[user.pk]
    ]


def _lane(block: BusyBlock) -> str:
    if block.origin_id is not None:
        return f"calendar-{block.origin_id}"
    return "meeting" if block.meeting_key else "manual"


def _drawn_times(start: datetime, end: datetime, tz: tzinfo | None) -> tuple[datetime, datetime]:
    """Naive wall times; where a clock that is put back would make the end come first, the length is kept."""
    if tz is None:
        return start.replace(tzinfo=None), end.replace(tzinfo=None)
    first, last = zones.to_wall(start, tz), zones.to_wall(end, tz)
    return first, last if last > first or start == end else first + (end - start)
