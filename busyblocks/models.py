"""The ledger: every row is something that may make a user busy."""

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Exists, ExpressionWrapper, F, OuterRef, Q
from django.db.models.lookups import GreaterThan

from tenancy.models import Company, CrmUser, new_unique_id

# What lasts longer is looked for apart: everything else that is in a span began at most this long before it.
LASTING = timedelta(days=32)
_LENGTH = ExpressionWrapper(F("end_time") - F("start_time"), output_field=models.DurationField())


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
        """Without the mirrored copies of meetings: the same UID in a calendar is the same time (RFC 5545 §3.8.4.7).

        A meeting that was called off hides nothing: what its calendar still has is busy until the calendar says else.
        """
        return self.exclude(_is_copy())

    def series(self) -> Self:
        """Masters and overrides: rows whose instances are prepared."""
        return self.filter(Q(recurring=True) | ~Q(recurrence_id=""))

    def singles(self) -> Self:
        """Rows that are one instance, their own."""
        return self.filter(recurring=False, recurrence_id="")

    def may_touch(self, start: datetime, end: datetime) -> Self:
        """A superset of the rows with an instance in [start, end): a bound for expansion, not an answer.

        All-day rows are dates, read in the asker's zone later: they are taken within a day on either side by the
        caller widening the span.
        """
        once = Q(recurring=False) & in_span(start, end)
        # An RDATE may lie before its series' start.
        begun = Q(start_time__lt=end) | ~Q(rdates=[])
        series = Q(recurring=True) & begun & (Q(recurs_until=None) | Q(recurs_until__gte=start))
        # Stands for all later instances of its series, too.
        onward = Q(this_and_future=True, start_time__lt=end)
        return self.filter(once | series | onward)


def _is_copy(block: str = "") -> Q:
    """block: the path to it from what is queried, with its underscores."""
    meetings = BusyBlock.objects.filter(user=OuterRef(f"{block}user"), uid=OuterRef(f"{block}uid"))
    standing = meetings.exclude(meeting_key="").exclude(status=EventStatus.CANCELLED)
    return Q(Exists(standing), ~Q(**{f"{block}uid": ""}), **{f"{block}origin__isnull": False})


def in_span(start: datetime, end: datetime) -> Q:
    """What has a part in [start, end), or ends as it starts; of rows with `start_time`, `end_time` and `lasting`."""
    short, lasting = in_span_by_length(start, end)
    return short | lasting


def in_span_by_length(start: datetime, end: datetime) -> tuple[Q, Q]:
    """`in_span` in two parts that exclude each other: each is read from an index of its own, without walking through
    all that began before the span. PostgreSQL does so when they are asked for apart.
    """
    touching = Q(start_time__lt=end, end_time__gte=start)
    try:
        begun = Q(start_time__gte=start - LASTING)
    except OverflowError:
        begun = Q()
    return touching & begun & Q(lasting=False), touching & Q(lasting=True)


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
    lasting = models.GeneratedField(
        expression=GreaterThan(_LENGTH, LASTING), output_field=models.BooleanField(), db_persist=True
    )
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
            models.UniqueConstraint(
                fields=["user", "uid", "recurrence_id"],
                condition=Q(origin=None, meeting_key="") & ~Q(uid="") & ~Q(recurrence_id=""),
                name="instance_by_hand_has_one_override",
            ),
        ]
        indexes = [
            # Free/busy and lists of a span: single blocks by the end of the span.
            models.Index(fields=["user", "recurring", "start_time", "end_time"], name="busy_block_span"),
            # The same: the few that may have begun long before it.
            models.Index(fields=["user", "end_time"], condition=Q(lasting=True), name="busy_block_lasting"),
            # Preparation: the series of a user.
            models.Index(
                fields=["user"], condition=Q(recurring=True) | ~Q(recurrence_id=""), name="busy_block_series_rows"
            ),
            # Free/busy: which mirrored rows are copies.
            models.Index(fields=["user", "uid"], condition=~Q(meeting_key=""), name="busy_block_meeting"),
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


class OccurrenceQuerySet(models.QuerySet["Occurrence"]):
    def busy(self) -> Self:
        """Those that take time: of rows that are still there, still of a series, not free, and no copy of a meeting."""
        of_series = Q(block__recurring=True) | ~Q(block__recurrence_id="")
        return self.filter(of_series & ~Q(block__fbtype=FreeBusyType.FREE) & ~_is_copy("block__"))


class Occurrence(models.Model):
    """One instance of a series, as expansion makes it: read in place of expansion, inside its user's horizon.

    Times are the instance's own (for an all-day one, 00:00 UTC of its dates); everything else its row says. A row that
    is gone leaves its occurrences behind for a while: readers join the row, so they never count.
    """

    user = models.ForeignKey(CrmUser, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    block = models.ForeignKey(BusyBlock, on_delete=models.DO_NOTHING, related_name="occurrences", db_constraint=False)
    recurrence_id = models.CharField(max_length=16, blank=True)
    start_time = models.DateTimeField()
    end_time = models.DateTimeField()
    lasting = models.GeneratedField(
        expression=GreaterThan(_LENGTH, LASTING), output_field=models.BooleanField(), db_persist=True
    )

    objects = OccurrenceQuerySet.as_manager()

    class Meta:
        indexes = [
            # Free/busy and lists of a span.
            models.Index(
                fields=["user", "start_time", "end_time"],
                include=["block"],
                condition=Q(lasting=False),
                name="occurrence_span",
            ),
            models.Index(fields=["user", "end_time"], condition=Q(lasting=True), name="occurrence_lasting"),
        ]

    def __str__(self) -> str:
        return f"{self.start_time:%Y-%m-%d %H:%M}"


class Horizon(models.Model):
    """How far a user's occurrences are prepared: all that touch [start_time, end_time), as of `revision`.

    Every change of the ledger counts the user's revision up. A writer that keeps the occurrences moves `revision`
    along; one that does not leaves it behind, and readers expand until it is prepared anew.
    """

    user = models.OneToOneField(CrmUser, on_delete=models.CASCADE, related_name="horizon")
    start_time = models.DateTimeField()
    end_time = models.DateTimeField()
    revision = models.BigIntegerField()
    # Another one each time that everything is prepared anew.
    edition = models.UUIDField(default=new_unique_id)
    # What expansion knew: other zone rules or other code may find other instances.
    made_with = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.start_time:%Y-%m-%d} to {self.end_time:%Y-%m-%d}"


class WorkingHours(models.Model):
    """When a user may be booked: outside of these windows they are unavailable (RFC 7953). No row: at any time."""

    user = models.OneToOneField(CrmUser, on_delete=models.CASCADE, related_name="working_hours")
    time_zone = models.CharField(max_length=64)
    # [{"days": ["mo", …], "start": "09:00", "end": "17:00"}, …]; none: never.
    windows = models.JSONField(default=list, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "working hours"

    def __str__(self) -> str:
        return f"{len(self.windows)} windows, {self.time_zone}"
