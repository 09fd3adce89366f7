"""A vendor's promise to tell us when a calendar changes."""

from django.db import models

from calendars.models.account import ProviderName
from calendars.models.calendar import Calendar


class PushChannel(models.Model):
    """A channel (Google) or subscription (Graph). Messages on it name it and show its secret, whose digest is here."""

    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="push_channels")
    provider = models.CharField(max_length=16, choices=ProviderName)
    channel_id = models.CharField(max_length=255)
    resource_id = models.CharField(max_length=255, blank=True)
    secret_digest = models.CharField(max_length=64, editable=False)
    expires_at = models.DateTimeField(db_index=True)
    # None while the vendor has not answered yet: its first message may come before its answer.
    opened_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "channel_id"], name="channel_is_known_once"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} until {self.expires_at:%Y-%m-%d %H:%M}"
