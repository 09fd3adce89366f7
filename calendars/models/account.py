"""A connection to one calendar vendor, for one user."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from tenancy.encryption import EncryptedJSONField
from tenancy.models import Company, CrmUser, new_unique_id


class ProviderName(models.TextChoices):
    GOOGLE = "google", "Google"
    OUTLOOK = "outlook", "Outlook"
    APPLE = "apple", "Apple"
    CALDAV = "caldav", "CalDAV"
    ICS = "ics", "ICS address"


class AccountStatus(models.TextChoices):
    ACTIVE = "active"
    INACTIVE = "inactive"
    ERROR = "error"


class CalendarAccountQuerySet(models.QuerySet["CalendarAccount"]):
    def connected(self) -> Self:
        """Accounts that can be synced: switched on, with credentials that the vendor has not refused."""
        return self.filter(connected=True, sync_enabled=True)

    def due(self, now: datetime) -> Self:
        return self.connected().filter(next_attempt_at__lte=now)

    def unleased(self, now: datetime) -> Self:
        return self.filter(Q(lease_until=None) | Q(lease_until__lt=now))


class CalendarAccount(models.Model):
    """What a user connected, the credentials for it, and how the mirror fares.

    `identity` tells two connections of the same provider and e-mail apart (a CalDAV server and user name); creating
    the same one again is a reconnect of this row.
    """

    unique_id = models.UUIDField(default=new_unique_id, unique=True, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="calendar_accounts")
    user = models.ForeignKey(CrmUser, on_delete=models.CASCADE, related_name="calendar_accounts")
    provider = models.CharField(max_length=16, choices=ProviderName)
    email = models.EmailField(max_length=254)
    identity = models.CharField(max_length=64, editable=False)
    name = models.CharField(max_length=255, blank=True)
    sync_enabled = models.BooleanField(default=True)

    # Secrets, and what a provider needs to sign in: never shown, never logged.
    credentials = EncryptedJSONField(null=True, blank=True, editable=False)
    # Addresses found by discovery and other public facts a provider wants back at its next visit.
    provider_state = models.JSONField(default=dict, blank=True, editable=False)
    discovered_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Of calendars that went: the vendor's id, and whether it was mirrored. Should one return, that holds.
    former_calendars = models.JSONField(default=dict, blank=True, editable=False)
    token_expires_at = models.DateTimeField(null=True, blank=True)
    # Grows with every change of the credentials. While `refresh_until` lies ahead, one worker is renewing them.
    credentials_version = models.BigIntegerField(default=0, editable=False)
    refresh_until = models.DateTimeField(null=True, blank=True, editable=False)
    external_user_id = models.CharField(max_length=255, blank=True)

    connected = models.BooleanField(default=False, help_text="Credentials are stored and the vendor accepts them.")
    status = models.CharField(max_length=16, choices=AccountStatus, default=AccountStatus.ACTIVE)
    last_attempt_at = models.DateTimeField(null=True, blank=True)
    last_synced_at = models.DateTimeField(null=True, blank=True)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    # The vendor itself asked for silence until then: even a person's "sync now" waits.
    vendor_retry_at = models.DateTimeField(null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(default=0, help_text="Failed attempts in a row.")
    last_error_code = models.CharField(max_length=64, blank=True)
    last_error = models.TextField(blank=True, help_text="Why the last attempt failed, and what to do.")

    # Messages of the vendor that something changed: how many came, how many had come when the last sync that is through
    # began, and when somebody was last rung for one.
    push_told = models.BigIntegerField(default=0, editable=False)
    push_seen = models.BigIntegerField(default=0, editable=False)
    push_told_at = models.DateTimeField(null=True, blank=True, editable=False)

    # Who mirrors it now. `fence` grows with every lease: a commit under an older one is refused.
    lease_owner = models.CharField(max_length=64, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    fence = models.BigIntegerField(default=0, editable=False)

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = CalendarAccountQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["user", "provider", "identity"], name="account_is_connected_once_per_user"),
        ]
        indexes = [
            # Beat: which accounts are due.
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(connected=True, sync_enabled=True),
                name="calendar_account_due",
            ),
            # The sweep: messages that nobody saw to.
            models.Index(
                fields=["push_told_at"], condition=Q(push_told__gt=models.F("push_seen")), name="calendar_account_told"
            ),
            # Cal.com: whose booking is this.
            models.Index("company", Lower("email"), name="calendar_account_email_folded"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.email}"
