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
    # Off by default: a feed subscribed to in the calendar that it came from must not echo it.
    include_synced = models.BooleanField(default=False, help_text="Show busy time mirrored from other calendars too.")
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
