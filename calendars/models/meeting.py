"""Meetings: what people booked, under every name that the booking ever had."""

from django.db import models
from django.db.models import F, Q

from tenancy.models import Company, CrmUser, new_unique_id

MANUAL = "manual"


class MeetingStatus(models.TextChoices):
    SCHEDULED = "scheduled"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    PENDING = "pending"


class PaymentStatus(models.TextChoices):
    AWAITED = "awaited"
    PAID = "paid"


class Meeting(models.Model):
    """A meeting of a user. Its time stands in the ledger too, as the row whose `meeting_key` is its unique id.

    Without a `user` it is a booking whose host nobody has matched yet; then it makes nobody busy.
    """

    unique_id = models.UUIDField(default=new_unique_id, unique=True, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="meetings")
    user = models.ForeignKey(CrmUser, null=True, blank=True, on_delete=models.CASCADE, related_name="meetings")
    source = models.CharField(max_length=32, default=MANUAL)
    # What the CRM calls it, and which of its accounts it is about: opaque here.
    code = models.CharField(max_length=255, blank=True)
    account_unique_id = models.CharField(max_length=255, blank=True)
    ical_uid = models.CharField(max_length=512, blank=True, help_text="The UID of its copies in other calendars.")
    sequence = models.PositiveIntegerField(default=0)
    title = models.TextField(blank=True)
    description = models.TextField(blank=True)
    location = models.TextField(blank=True)
    meeting_url = models.TextField(blank=True)
    meeting_type = models.CharField(max_length=255, blank=True)
    status = models.CharField(max_length=16, choices=MeetingStatus, default=MeetingStatus.SCHEDULED)
    start_time = models.DateTimeField()
    end_time = models.DateTimeField()
    # Dates then, as in the ledger: 00:00 UTC of the first and of the one after the last.
    all_day = models.BooleanField(default=False)
    time_zone = models.CharField(max_length=64, default="UTC")
    organizer_name = models.CharField(max_length=255, blank=True)
    organizer_email = models.CharField(max_length=254, blank=True)
    # When its source last said something about it: an older message that comes later changes nothing.
    source_updated_at = models.DateTimeField(null=True, blank=True)
    # What its source said beside the meeting's time.
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    payment_status = models.CharField(max_length=16, blank=True, choices=PaymentStatus)
    recording_url = models.TextField(blank=True)
    transcript_url = models.TextField(blank=True)
    cancellation_reason = models.TextField(blank=True)
    meeting_score = models.FloatField(null=True, blank=True)
    payload = models.JSONField(default=dict, blank=True)
    # In the trash: it makes nobody busy and stands in no list but the trash's.
    deleted_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["start_time", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(end_time__gte=F("start_time")), name="meeting_does_not_end_before_it_starts"
            ),
        ]
        indexes = [
            # The user's meetings; the feed.
            models.Index(fields=["user", "start_time"], name="meeting_of_user"),
            # Unmatched bookings, and those whose host appears later.
            models.Index(fields=["company", "organizer_email"], condition=Q(user=None), name="meeting_unmatched"),
            # The company's meetings.
            models.Index(fields=["company", "start_time"], name="meeting_of_company"),
        ]

    def __str__(self) -> str:
        return f"{self.start_time:%Y-%m-%d %H:%M} {self.status}"

    @property
    def made_here(self) -> bool:
        """Whether its time and words are changed here; those of a booking change where it was booked."""
        return self.source == MANUAL


class MeetingUid(models.Model):
    """A name that the meeting's source has used for it: a rescheduled booking keeps its old uids as aliases.

    `said` is what the source said of the booking under this name, as its integration keeps it; the meeting is derived
    from what was said under all of its names. A name without a meeting is one of which nobody knows yet when it is,
    or, with `cancelled_at`, a tombstone: the cancellation came before the booking.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+")
    meeting = models.ForeignKey(Meeting, null=True, blank=True, on_delete=models.CASCADE, related_name="uids")
    source = models.CharField(max_length=32)
    uid = models.CharField(max_length=255)
    said = models.JSONField(default=dict, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    # The booking under this name was moved to another one, so nothing that is still said of it moves the meeting.
    superseded = models.BooleanField(default=False)
    # The same for bookings that may be occurrences of one series; empty for all others.
    series = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["company", "source", "uid"], name="uid_names_one_meeting_of_a_company"),
        ]
        indexes = [
            # The others of a series that is called off.
            models.Index(fields=["company", "series"], condition=~Q(series=""), name="meeting_uid_series"),
        ]

    def __str__(self) -> str:
        return self.uid


class ParticipantRole(models.TextChoices):
    """Roles that this service gives; clients may give others."""

    HOST = "host"
    ATTENDEE = "attendee"


class MeetingParticipant(models.Model):
    """Somebody who takes part, by e-mail; with a `user`, the meeting is in that user's calendar too."""

    unique_id = models.UUIDField(default=new_unique_id, unique=True, editable=False)
    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="participants")
    user = models.ForeignKey(CrmUser, null=True, blank=True, on_delete=models.SET_NULL, related_name="participations")
    contact_unique_id = models.CharField(max_length=255, blank=True, help_text="What the CRM calls them.")
    email = models.CharField(max_length=254)
    name = models.CharField(max_length=255, blank=True)
    phone = models.CharField(max_length=64, blank=True)
    role = models.CharField(max_length=32, default=ParticipantRole.ATTENDEE)
    rsvp_status = models.CharField(max_length=32, default="accepted")
    no_show = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["meeting", "email"], name="participant_is_once_in_a_meeting"),
        ]
        indexes = [
            # Hosts whose user appears later.
            models.Index(fields=["email"], condition=Q(user=None, role="host"), name="participant_unmatched_host"),
        ]

    def __str__(self) -> str:
        return self.name or self.email
