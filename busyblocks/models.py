"""The ledger: every row is something that may make a user busy."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from tenancy.models import Company, CrmUser, new_unique_id


class Source(models.TextChoices):
    """Where a row came from. Clients may name further sources for the rows that they write."""

    MANUAL = "manual"
    GOOGLE = "google"
    OUTLOOK = "outlook"
    APPLE = "apple"
    CALDAV = "caldav"
    ICS = "ics"
    CALCOM = "calcom"


class Transparency(models.TextChoices):
    """RFC 5545 §3.8.2.7."""

    OPAQUE = "opaque"
    TRANSPARENT = "transparent"


class EventStatus(models.TextChoices):
    """RFC 5545 §3.8.1.11."""

    CONFIRMED = "confirmed"
    TENTATIVE = "tentative"
    CANCELLED = "cancelled"


class FreeBusyType(models.TextChoices):
    """RFC 5545 §3.2.9, lower case as the API writes it."""

    FREE = "free"
    BUSY = "busy"
    BUSY_UNAVAILABLE = "busy-unavailable"
    BUSY_TENTATIVE = "busy-tentative"


class Classification(models.TextChoices):
    """RFC 5545 §3.8.1.3: who may read more than the times."""

    PUBLIC = "public"
    PRIVATE = "private"
    CONFIDENTIAL = "confidential"


class Origin(models.Model):
    """One remote calendar as the ledger knows it: the owner of the rows mirrored from it.

    Deleting an origin deletes its rows, in the database's own transaction. What mirrors it (a vendor, a cursor, a
    lease) is none of the ledger's business and lives a floor above.
    """

    user = models.ForeignKey(CrmUser, on_delete=models.CASCADE, related_name="origins")
    source = models.CharField(max_length=32, choices=Source)
    name = models.CharField(max_length=255, blank=True)
    time_zone = models.CharField(max_length=64, blank=True, help_text="Zone of floating times and of dates.")

    def __str__(self) -> str:
        return self.name or f"{self.source} {self.pk}"


class BusyBlockQuerySet(models.QuerySet["BusyBlock"]):
    def of(self, user: CrmUser) -> Self:
        return self.filter(user=user)

    def busy(self) -> Self:
        """Rows that take time: not transparent, not cancelled, not declined."""
        return self.exclude(fbtype=FreeBusyType.FREE)

    def by_hand(self) -> Self:
        """Rows that the API may change: neither mirrored nor written by a meeting."""
        return self.filter(origin=None, meeting_key="")

    def without_copies(self) -> Self:
        """Without the mirrored copies of meetings: the same UID in a calendar is the same time (RFC 5545 §3.8.4.7)."""
        meetings = BusyBlock.objects.filter(user=OuterRef("user"), uid=OuterRef("uid")).exclude(meeting_key="")
        return self.exclude(Q(origin__isnull=False) & ~Q(uid="") & Exists(meetings))

    def may_touch(self, start: datetime, end: datetime) -> Self:
        """A superset of the rows with an instance in [start, end): a bound for expansion, not an answer.

        All-day rows are dates, read in the asker's zone later: they are taken within a day on either side by the
        caller widening the span.
        """
        once = Q(recurring=False, start_time__lt=end, end_time__gte=start)
        # An RDATE may lie before its series' start.
        begun = Q(start_time__lt=end) | ~Q(rdates=[])
        series = Q(recurring=True) & begun & (Q(recurs_until=None) | Q(recurs_until__gte=start))
        # Stands for all later instances of its series, too.
        onward = Q(this_and_future=True, start_time__lt=end)
        return self.filter(once | series | onward)


class BusyBlock(models.Model):
    """One VEVENT-like thing: a single block, the master of a series, or an override of one instance.

    Instants are UTC beside the IANA `time_zone` in which the entry was written. An all-day entry is dates:
    `start_time` and `end_time` hold 00:00 UTC of its first date and of the date after its last.
    """

    unique_id = models.UUIDField(default=new_unique_id, unique=True, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(CrmUser, on_delete=models.CASCADE, related_name="busy_blocks")
    origin = models.ForeignKey(Origin, null=True, blank=True, on_delete=models.CASCADE, related_name="rows")
    source = models.CharField(max_length=64, default=Source.MANUAL)
    source_id = models.CharField(max_length=255, blank=True)
    # The public id of the meeting that wrote this row; empty for every other row.
    meeting_key = models.CharField(max_length=36, blank=True, editable=False)
    # 512 characters: four bytes each still fit an index row of PostgreSQL. Providers fold longer ids (`folded_id`).
    external_event_id = models.CharField(max_length=512, blank=True)
    # Of an instance that the vendor tells as an event of its own: the vendor's id of its series.
    series_id = models.CharField(max_length=512, blank=True)
    etag = models.CharField(max_length=255, blank=True, help_text="The remote's version of this entry.")

    title = models.TextField(blank=True)
    description = models.TextField(blank=True)
    location = models.TextField(blank=True)

    # RFC 5545 identity: UID and, for an override, the instance that it replaces ("20260320T090000Z" or "20260320").
    uid = models.CharField(max_length=512, blank=True)
    recurrence_id = models.CharField(max_length=16, blank=True)
    this_and_future = models.BooleanField(default=False, help_text="RANGE=THISANDFUTURE of an override.")
    sequence = models.PositiveIntegerField(default=0)

    start_time = models.DateTimeField()
    end_time = models.DateTimeField()
    all_day = models.BooleanField(default=False)
    time_zone = models.CharField(max_length=64, default="UTC")
    # The wall time as it was written ("20260329T023000"), so that nothing is lost where a zone has no such minute;
    # empty when the start was given in UTC or as a date.
    local_start = models.CharField(max_length=15, blank=True)
    # RFC 5545 DURATION where the entry was written with one: its days are nominal, an end's are exact.
    duration = models.CharField(max_length=32, blank=True)

    recurring = models.BooleanField(default=False)
    recurrence_rule = models.TextField(blank=True)
    rdates = models.JSONField(default=list, blank=True)
    exdates = models.JSONField(default=list, blank=True)
    # No instance starts or ends after this instant; NULL: no such bound is known.
    recurs_until = models.DateTimeField(null=True, blank=True)

    transparency = models.CharField(max_length=16, choices=Transparency, default=Transparency.OPAQUE)
    status = models.CharField(max_length=16, choices=EventStatus, default=EventStatus.CONFIRMED)
    # What free/busy makes of the three facts above it: transparency, status and the owner's answer.
    fbtype = models.CharField(max_length=16, choices=FreeBusyType, default=FreeBusyType.BUSY)
    classification = models.CharField(max_length=16, choices=Classification, default=Classification.PUBLIC)
    metadata = models.JSONField(default=dict, blank=True)
    # A full read of the remote did not show this row, and too many others neither: it is kept, and counts, until a
    # later full read agrees or an administrator does.
    absent_since = models.DateTimeField(null=True, blank=True)

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = BusyBlockQuerySet.as_manager()

    class Meta:
        ordering = ["start_time", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(end_time__gte=F("start_time")), name="busy_block_does_not_end_before_it_starts"
            ),
            models.UniqueConstraint(
                fields=["origin", "external_event_id", "recurrence_id"],
                condition=Q(origin__isnull=False),
                name="mirrored_row_is_unique_in_its_calendar",
            ),
            models.UniqueConstraint(
                fields=["meeting_key", "user", "recurrence_id"],
                condition=~Q(meeting_key=""),
                name="meeting_writes_one_row_per_user",
            ),
        ]
        indexes = [
            # Free/busy and lists of a span: single blocks by the end of the span.
            models.Index(fields=["user", "recurring", "start_time", "end_time"], name="busy_block_span"),
            # The mirror: what is held back in a calendar.
            models.Index(fields=["origin"], condition=Q(absent_since__isnull=False), name="busy_block_held"),
            # The mirror: the instances of a series that the vendor names by its own id.
            models.Index(fields=["origin", "series_id"], condition=~Q(series_id=""), name="busy_block_series"),
            # A meeting and its synced copy; the overrides of a series written by hand.
            models.Index(fields=["user", "uid"], name="busy_block_uid"),
        ]

    def __str__(self) -> str:
        return f"{self.start_time:%Y-%m-%d %H:%M} {self.source}"

    @property
    def is_override(self) -> bool:
        return bool(self.recurrence_id)

    @property
    def editable(self) -> bool:
        """Whether the API may change it: mirrored rows and meetings' rows change at their source."""
        return self.origin_id is None and not self.meeting_key
