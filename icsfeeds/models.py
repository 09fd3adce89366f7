"""Tokens that open a user's feed to whoever knows them."""

import hashlib
import secrets
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q

from tenancy.encryption import EncryptedJSONField
from tenancy.models import Company, CrmUser, new_unique_id


class ICSTokenQuerySet(models.QuerySet["ICSToken"]):
    def usable(self, now: datetime) -> Self:
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now), active=True)


class Detail(models.TextChoices):
    """How much of an entry a feed tells."""

    FULL = "full"
    BUSY = "busy"


class ICSToken(models.Model):
    """One feed address. Looked up by digest; the value itself is kept encrypted, to be shown to its owner."""

    unique_id = models.UUIDField(default=new_unique_id, unique=True, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="ics_tokens")
    user = models.ForeignKey(CrmUser, on_delete=models.CASCADE, related_name="ics_tokens")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    encrypted_token = EncryptedJSONField(editable=False)
    label = models.CharField(max_length=255, blank=True)
    active = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    # What is shown.
    show_meetings = models.BooleanField(default=True)
    show_busy_blocks = models.BooleanField(default=True, help_text="Show blocks made by hand.")
    # Off by default: a feed subscribed to in the calendar that it came from must not echo it.
    include_synced = models.BooleanField(default=False, help_text="Show busy time mirrored from other calendars too.")
    detail = models.CharField(max_length=8, choices=Detail, default=Detail.FULL)
    show_people = models.BooleanField(default=False, help_text="Name the organizers and attendees of meetings.")
    # Whole days before and after today, UTC; NULL: without end. Programs grow slow over feeds of many years.
    past_days = models.PositiveSmallIntegerField(default=365, null=True, blank=True)
    future_days = models.PositiveSmallIntegerField(default=400, null=True, blank=True)
    color = models.CharField(max_length=7, blank=True, help_text="#RRGGBB")
    refresh_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="How often programs are asked to come back; empty: the service's own pace."
    )
    # A team's feed: these users beside the token's own.
    team = models.ManyToManyField(CrmUser, blank=True, related_name="+")
    of_team = models.BooleanField(default=False, editable=False, help_text="Whether there is a team.")
    # The state that was last shown (a digest of what it follows from), its ETag, and since when it is that.
    shown_key = models.CharField(max_length=64, blank=True, editable=False)
    shown_tag = models.CharField(max_length=32, blank=True, editable=False)
    shown_at = models.DateTimeField(null=True, editable=False)
    last_user_agent = models.CharField(max_length=255, blank=True, editable=False)
    last_accessed_at = models.DateTimeField(null=True, blank=True)
    access_count = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ICSTokenQuerySet.as_manager()

    class Meta:
        verbose_name = "ICS token"
        ordering = ["id"]

    def __str__(self) -> str:
        return self.label or str(self.unique_id)

    @staticmethod
    def digest_of(token: str) -> str:
        """SHA-256, hexadecimal: tokens have 192 random bits, so it cannot be searched back. Takes any text."""
        return hashlib.sha256(token.encode(errors="replace")).hexdigest()

    def usable_at(self, now: datetime) -> bool:
        """Whether the feed can be read: active and not expired. `ICSTokenQuerySet.usable` says the same in SQL."""
        return self.active and (self.expires_at is None or self.expires_at > now)

    @staticmethod
    def new_value() -> str:
        """A token of 192 random bits, 32 URL-safe characters."""
        return secrets.token_urlsafe(24)


class ReadHour(models.Model):
    """How often the feeds of a company were read in one hour (UTC)."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+")
    hour = models.DateTimeField()
    reads = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["company", "hour"], name="reads_are_counted_by_company_and_hour"),
        ]
        indexes = [
            # The dashboard of superusers, and retention.
            models.Index(fields=["hour"], name="read_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}:00: {self.reads}"
