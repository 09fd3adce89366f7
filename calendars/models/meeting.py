"""Meetings: what people booked, under every name that the booking ever had."""

from django.db import models
from django.db.models import F, Q

from tenancy.models import Company, CrmUser, new_unique_id


class MeetingStatus(models.TextChoices):
    SCHEDULED = "scheduled"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    PENDING = "pending"


class Meeting(models.Model):
    """A meeting of a user. Its time stands in the ledger too, as the row whose `meeting_key` is its unique id.

    Without a `user` it is a booking whose host nobody has matched yet; then it makes nobody busy.
    """

    unique_id = models.UUIDField(default=new_unique_id, unique=True, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="meetings")
    user = models.ForeignKey(CrmUser, null=True, blank=True, on_delete=models.CASCADE, related_name="meetings")
    source = models.CharField(max_length=32, default="manual")
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
    time_zone = models.CharField(max_length=64, default="UTC")
    organizer_name = models.CharField(max_length=255, blank=True)
    organizer_email = models.CharField(max_length=254, blank=True)
    # When its source last said something about it: an older message that comes later changes nothing.
    source_updated_at = models.DateTimeField(null=True, blank=True)
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
            # Unmatched bookings whose host appears later.
            models.Index(fields=["company", "organizer_email"], name="meeting_organizer"),
        ]

    def __str__(self) -> str:
        return f"{self.start_time:%Y-%m-%d %H:%M} {self.status}"


class MeetingUid(models.Model):
    """A name that the meeting's source has used for it: a rescheduled booking keeps its old uids as aliases.

    `cancelled_at` on a name without a meeting is a tombstone: the cancellation came before the booking.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+")
    meeting = models.ForeignKey(Meeting, null=True, blank=True, on_delete=models.CASCADE, related_name="uids")
    source = models.CharField(max_length=32)
    uid = models.CharField(max_length=255)
    cancelled_at = models.DateTimeField(null=True, blank=True)
    # The booking under this name was moved to another one, so nothing that is still said of it moves the meeting.
    superseded = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["company", "source", "uid"], name="uid_names_one_meeting_of_a_company"),
        ]

    def __str__(self) -> str:
        return self.uid


class MeetingParticipant(models.Model):
    """Somebody who takes part, by e-mail."""

    meeting = models.ForeignKey(Meeting, on_delete=models.CASCADE, related_name="participants")
    email = models.CharField(max_length=254)
    name = models.CharField(max_length=255, blank=True)
    role = models.CharField(max_length=32, default="attendee")
    rsvp_status = models.CharField(max_length=32, default="accepted")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["meeting", "email"], name="participant_is_once_in_a_meeting"),
        ]

    def __str__(self) -> str:
        return self.name or self.email
