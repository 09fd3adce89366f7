"""What the feed reads of the ledger: plain values, so that rendering needs no database and no model instances."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db.models import Q

from busyblocks.entries import Entry
from busyblocks.models import BusyBlock
from calendars.models import Meeting


class FeedRow(NamedTuple):
    """One row of the ledger, field for field, and the meeting's `url`. Times are UTC.

    A tuple and no dataclass: a feed makes thousands of them, straight from the database's own tuples.
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


_COLUMNS = tuple(name for name in FeedRow._fields if name != "url")


def read(user_pk: int, *, include_synced: bool) -> list[FeedRow]:
    """The user's meetings and blocks made by hand, by start; with `include_synced`, mirrored rows too. Two queries."""
    blocks = BusyBlock.objects.filter(user_id=user_pk).order_by("start_time", "id")
    if not include_synced:
        blocks = blocks.filter(~Q(meeting_key="") | Q(origin=None))
    found = [FeedRow(*values) for values in blocks.values_list(*_COLUMNS)]
    meetings = Meeting.objects.filter(user_id=user_pk).exclude(meeting_url="")
    urls = {str(key): url for key, url in meetings.values_list("unique_id", "meeting_url")}
    if not urls:
        return found
    return [row._replace(url=urls[row.meeting_key]) if row.meeting_key in urls else row for row in found]
