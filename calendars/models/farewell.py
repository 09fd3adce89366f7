"""What is left to say to a vendor after an account was disconnected here."""

from django.db import models

from calendars.models.account import ProviderName
from tenancy.encryption import EncryptedJSONField


class Farewell(models.Model):
    """Push channels to be closed and a grant to be revoked.

    The account and all that was mirrored are gone already; this row soon is, too.
    """

    provider = models.CharField(max_length=16, choices=ProviderName)
    email = models.EmailField(max_length=254)
    credentials = EncryptedJSONField(editable=False)
    channels = models.JSONField(default=list, editable=False, help_text="The vendor's ids of each: channel, resource.")
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.provider} {self.email}"
