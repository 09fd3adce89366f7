"""What the feed reads of the ledger: plain values, so that rendering needs no database and no model instances."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from busyblocks.entries import Entry
from busyblocks.models import BusyBlock, BusyBlockQuerySet, EventStatus, FreeBusyType
from busyblocks.timespans import EARLIEST, LATEST
from calendars.models import Meeting, MeetingParticipant
from icsfeeds import people
from icsfeeds.contents import Contents
from tenancy.models import CrmUser

# A meeting that was called off or thrown away is shown as CANCELLED for so long: programs that were away hear of it.
CANCELLED_SHOWN = timedelta(days=30)
# What a feed shows of an entry without a title, or whose title is none of its readers' business.
UNTITLED, FREE = "Busy", "Free"


class FeedRow(NamedTuple):
    """One row of the ledger, field for field, and its meeting's `url` and `people`. Times are UTC.

    A tuple and no dataclass: a feed makes thousands of them, straight from the database's own tuples.
    people: the content lines that name organizer and attendees.
    """

    unique_id: UUID
    origin_id: int | None
    meeting_key: str
    external_event_id: str
    uid: str
    recurrence_id: str
    this_and_future: bool
    sequence: int
    title: str
    description: str
    location: str
    start_time: datetime
    end_time: datetime
    all_day: bool
    time_zone: str
    local_start: str
    duration: str
    recurrence_rule: str
    rdates: Sequence[str]
    exdates: Sequence[str]
    transparency: str
    status: str
    fbtype: str
    classification: str
    created_at: datetime
    updated_at: datetime
    url: str = ""
    people: str = ""

    @property
    def entry(self) -> Entry:
        """The row as the ledger's expansion reads it."""
        return Entry(
            uid=self.uid,
            recurrence_id=self.recurrence_id,
            this_and_future=self.this_and_future,
            start_time=self.start_time,
            end_time=self.end_time,
            all_day=self.all_day,
            time_zone=self.time_zone,
            local_start=self.local_start,
            duration=self.duration,
            recurrence_rule=self.recurrence_rule,
            rdates=tuple(self.rdates),
            exdates=tuple(self.exdates),
            status=self.status,
        )


@dataclass(frozen=True, slots=True)
class Aside:
    """What a feed tells of a meeting beside its row."""

    url: str
    people: str


# The ledger's columns of a row.
COLUMNS = tuple(name for name in FeedRow._fields if name not in {"url", "people"})


def shown(user_pk: int, contents: Contents, *, now: datetime) -> BusyBlockQuerySet:
    """The user's rows that the feed is made of. Overrides are all among them: without its override a series would show
    the instance that was moved away.
    """
    rows = BusyBlock.objects.filter(user_id=user_pk)
    kinds = Q(pk__in=())
    if contents.meetings:
        kinds |= ~Q(meeting_key="")
    if contents.busy_blocks:
        kinds |= Q(meeting_key="", origin=None)
    if contents.synced:
        kinds |= Q(meeting_key="", origin__isnull=False)
    rows = rows.filter(kinds)
    start, end = contents.window(now)
    if start is not None or end is not None:
        touching = BusyBlock.objects.may_touch(start or EARLIEST, end or LATEST)
        rows = (rows & touching) | rows.exclude(recurrence_id="")
    gone = Q(recurring=False, recurrence_id="")
    if contents.busy_only:
        rows = rows.exclude(gone & Q(fbtype=FreeBusyType.FREE))
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    stale = Q(status=EventStatus.CANCELLED, updated_at__lt=midnight - CANCELLED_SHOWN)
    return rows.exclude(gone & ~Q(meeting_key="") & stale)


def read(blocks: QuerySet[BusyBlock]) -> list[FeedRow]:
    """The rows with all that rendering may need, in the order of `blocks`; one query."""
    return [FeedRow(*values) for values in blocks.values_list(*COLUMNS)]


def with_asides(rows: Iterable[FeedRow], asides: Mapping[str, Aside]) -> Iterator[FeedRow]:
    """The rows, those of meetings with what is told beside them."""
    for row in rows:
        aside = asides.get(row.meeting_key) if row.meeting_key else None
        yield row if aside is None else row._replace(url=aside.url, people=aside.people)


def asides(user_pk: int, contents: Contents) -> dict[str, Aside]:
    """By the meetings' keys: addresses, and the people where the feed names them. One query, two with people."""
    if not contents.meetings or contents.busy_only:
        return {}
    meetings = _of(user_pk)
    if not contents.people:
        urls = meetings.exclude(meeting_url="").values_list("unique_id", "meeting_url")
        return {str(key): Aside(url, "") for key, url in urls}
    taking_part: dict[int, list[tuple[str, str, str]]] = {}
    participants = MeetingParticipant.objects.filter(meeting__in=meetings).order_by("id")
    for meeting, *person in participants.values_list("meeting_id", "email", "name", "rsvp_status"):
        taking_part.setdefault(meeting, []).append((person[0], person[1], person[2]))
    columns = ("pk", "unique_id", "meeting_url", "organizer_email", "organizer_name")
    found = {}
    for pk, key, url, email, name in meetings.values_list(*columns):
        organizer = people.organizer(email, name)
        # Attendees without an organizer are none (RFC 5545 §3.8.4.1).
        attendees = people.attendees(taking_part.get(pk, ())) if organizer else ""
        found[str(key)] = Aside(url, organizer + attendees)
    return found


def thrown_away(user_pk: int, contents: Contents, *, now: datetime) -> list[FeedRow]:
    """Meetings in the trash for less than `CANCELLED_SHOWN`, as cancelled rows; one query, two where there are any."""
    if not contents.meetings or contents.busy_only:
        return []
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    recent = _of(user_pk).filter(deleted_at__gte=midnight - CANCELLED_SHOWN).order_by("id")
    start, end = contents.window(now)
    if start is not None:
        recent = recent.filter(end_time__gte=start)
    if end is not None:
        recent = recent.filter(start_time__lt=end)
    found = [_cancelled(meeting) for meeting in recent]
    if not found:
        return []
    uids = {row.uid for row in found}
    standing = set(shown(user_pk, contents, now=now).filter(uid__in=uids).values_list("uid", flat=True))
    return [row for row in found if row.uid not in standing]


def _of(user_pk: int) -> QuerySet[Meeting]:
    taking_part = MeetingParticipant.objects.filter(user_id=user_pk, meeting=OuterRef("pk"))
    return Meeting.objects.filter(Q(user_id=user_pk) | Exists(taking_part))


def _cancelled(meeting: Meeting) -> FeedRow:
    return FeedRow(
        unique_id=meeting.unique_id,
        origin_id=None,
        meeting_key=str(meeting.unique_id),
        external_event_id="",
        uid=meeting.ical_uid or f"{meeting.unique_id}@calendar",
        recurrence_id="",
        this_and_future=False,
        sequence=meeting.sequence,
        title=meeting.title,
        description=meeting.description,
        location=meeting.location or meeting.meeting_url,
        start_time=meeting.start_time,
        end_time=meeting.end_time,
        all_day=meeting.all_day,
        time_zone=meeting.time_zone,
        local_start="",
        duration="",
        recurrence_rule="",
        rdates=(),
        exdates=(),
        transparency="opaque",
        status=EventStatus.CANCELLED,
        fbtype=FreeBusyType.FREE,
        classification="public",
        created_at=meeting.created_at,
        updated_at=meeting.deleted_at or meeting.updated_at,
        url=meeting.meeting_url,
    )


class Shown:
    """Makes of each row what a feed may tell: of private entries, and where only times are asked for, no words.

    member: whose rows they are, in a team's feed; there every event has a UID of its own and tells whose it is.
    """

    def __init__(self, contents: Contents, member: CrmUser | None = None) -> None:
        self.busy_only = contents.busy_only
        self.salt = str(member.pk) if member else ""
        self.whose = f"{member.name or member.unique_id}: " if member else ""

    def uid(self, uid: str, *, silent: bool) -> str:
        """The UID that the feed shows: the ledger's own may tell whom or what the entry is about. silent: whether no
        entry of this UID tells more than its times.
        """
        if not (silent or self.salt):
            return uid
        return f"{sha256(f'{self.salt}/{uid}'.encode(errors='replace')).hexdigest()[:32]}@calendar"

    def silent(self, classification: str) -> bool:
        """Whether nothing but the times is told."""
        return self.busy_only or classification != "public"

    def title(self, text: str, classification: str, *, free: bool) -> str:
        if self.silent(classification):
            text = ""
        return self.whose + (text or (FREE if free and self.busy_only else UNTITLED))

    def rows(self, rows: Iterable[FeedRow]) -> Iterator[FeedRow]:
        rows = list(rows)
        # A series and its overrides keep one UID; it is no secret where one of them is public.
        told_of = {row.uid for row in rows if not self.silent(row.classification)}
        for row in rows:
            free = row.fbtype == FreeBusyType.FREE
            silent = self.silent(row.classification) and (not row.uid or row.uid not in told_of)
            told = row._replace(
                uid=self.uid(row.uid or f"{row.unique_id}@calendar", silent=silent),
                title=self.title(row.title, row.classification, free=free),
            )
            if self.silent(row.classification):
                told = told._replace(description="", location="", url="", people="")
            yield told
