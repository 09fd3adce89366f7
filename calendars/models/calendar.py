"""One remote calendar of an account, and where its mirror stands."""

from django.db import models
from django.db.models import F, Q

from busyblocks.models import Origin
from calendars.models.account import CalendarAccount
from tenancy.models import new_unique_id


class Calendar(models.Model):
    """A remote calendar. Its rows hang on `origin`; deleting the origin deletes rows and calendar together."""

    unique_id = models.UUIDField(default=new_unique_id, unique=True, editable=False)
    account = models.ForeignKey(CalendarAccount, on_delete=models.CASCADE, related_name="calendars")
    origin = models.OneToOneField(Origin, on_delete=models.CASCADE, related_name="calendar")
    external_id = models.CharField(max_length=512, help_text="The vendor's id; for CalDAV the collection's URL.")
    name = models.CharField(max_length=255, blank=True)
    color = models.CharField(max_length=32, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    primary = models.BooleanField(default=False)
    sync_enabled = models.BooleanField(default=True)
    # Where the mirror stands, in the provider's own words; empty: the next read is a full one.
    cursor = models.TextField(blank=True, editable=False)
    last_synced_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    # The calendar is not in the vendor's list any more; its rows stay until a later listing agrees.
    missing_since = models.DateTimeField(null=True, blank=True)
    # The brake: how many rows a full read implied to be gone and were kept (`BusyBlock.absent_since` says which).
    held_count = models.PositiveIntegerField(default=0)
    # When its push channels are looked after next; empty: as soon as they need it.
    push_retry_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = [F("primary").desc(), "name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["account", "external_id"], name="calendar_is_mirrored_once_per_account"),
        ]
        indexes = [
            # The dashboard: where the brake holds something.
            models.Index(fields=["account"], condition=Q(held_count__gt=0), name="calendar_is_braked"),
        ]

    def __str__(self) -> str:
        return self.name or self.external_id


class WithheldEvent(models.Model):
    """A remote event that could not be understood: its old rows stay as they were, and this says why."""

    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="withheld")
    external_event_id = models.CharField(max_length=512)
    etag = models.CharField(max_length=255, blank=True)
    reason = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["calendar", "external_event_id"], name="event_is_withheld_once"),
        ]

    def __str__(self) -> str:
        return self.reason
