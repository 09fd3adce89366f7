"""Who is asking: companies, their API keys, their CRM users, and the staff of the admin."""

import hashlib
import secrets
import uuid
from datetime import datetime
from typing import Any, NoReturn

from django.contrib.auth.models import AbstractUser
from django.core.validators import RegexValidator
from django.db import models, transaction
from django.db.models import F
from django.db.models.functions import Lower
from django.utils import timezone

API_KEY_PREFIX = "pk_live_"
MAX_USER_ID = 255


class Company(models.Model):
    """A tenant. Nothing of one company is ever visible to another."""

    url_id = models.CharField(
        max_length=63,
        unique=True,
        validators=[
            RegexValidator(r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$", "Use lower-case letters, digits and hyphens.")
        ],
        help_text="Stands in feed and webhook addresses: /calendars/<url_id>/ics/…",
    )
    name = models.CharField(max_length=255, blank=True)
    # Whose bearer tokens this company's users present, beside those of `manage.py issue_token`.
    jwt_issuer = models.CharField(max_length=255, blank=True, help_text="Required `iss` of the company's own tokens.")
    jwt_audience = models.CharField(max_length=255, blank=True, help_text="Required `aud`; empty: not checked.")
    jwt_algorithm = models.CharField(
        max_length=16,
        choices=[(name, name) for name in ("RS256", "ES256", "EdDSA")],
        default="RS256",
        help_text="The one algorithm accepted; a token's own header never chooses (RFC 8725).",
    )
    jwks_url = models.URLField(blank=True, help_text="Where the company publishes its public keys.")
    jwt_public_keys = models.TextField(blank=True, help_text="PEM public keys, one after the other.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "companies"
        ordering = ["url_id"]

    def __str__(self) -> str:
        return self.name or self.url_id


class ApiKey(models.Model):
    """The `AppId` of a caller: it names the company. Only its digest is stored."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="api_keys")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    last_four = models.CharField(max_length=4, editable=False)
    label = models.CharField(max_length=255, blank=True)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "API key"
        ordering = ["id"]

    def __str__(self) -> str:
        return f"…{self.last_four}"

    @staticmethod
    def digest_of(key: str) -> str:
        """SHA-256, hexadecimal. A key has 144 random bits, so a plain digest cannot be searched back."""
        return hashlib.sha256(key.encode()).hexdigest()

    @classmethod
    def issue(cls, company: Company, *, label: str = "") -> str:
        """A new key for `company`, as text: the only time that it can be seen."""
        key = API_KEY_PREFIX + secrets.token_hex(18)
        cls.objects.create(company=company, digest=cls.digest_of(key), last_four=key[-4:], label=label)
        return key


class CrmUser(models.Model):
    """A person of the company, under the opaque id that the CRM gives them.

    `revision` counts the changes to the user's ledger: whatever is prepared from the ledger is keyed by it.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="users")
    unique_id = models.CharField(max_length=MAX_USER_ID)
    email = models.EmailField(max_length=254, blank=True)
    name = models.CharField(max_length=255, blank=True)
    time_zone = models.CharField(max_length=64, blank=True)
    revision = models.BigIntegerField(default=0, editable=False)
    revised_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "CRM user"
        ordering = ["id"]
        constraints = [
            # Serves every path: /users/:unique_id/…
            models.UniqueConstraint(fields=["company", "unique_id"], name="crm_user_is_unique_in_company"),
        ]
        indexes = [
            # Cal.com: whose booking is this.
            models.Index("company", Lower("email"), name="crm_user_email_folded"),
        ]

    def __str__(self) -> str:
        return self.name or self.unique_id


def bump_revision(user_pk: int, *, at: datetime) -> None:
    """Say that the user's ledger changed at `at`; call it in the transaction of the change."""
    CrmUser.objects.filter(pk=user_pk).update(revision=F("revision") + 1, revised_at=at)


class Staff(AbstractUser):
    """A person who signs in to the admin; with a `company`, they administer that company only."""

    company = models.ForeignKey(Company, null=True, blank=True, on_delete=models.CASCADE, related_name="staff")

    class Meta(AbstractUser.Meta):
        verbose_name = "member of staff"
        verbose_name_plural = "staff"

    def save(self, *args: Any, **kwargs: Any) -> None:
        # A new password and what the validators make of it (see `tenancy.signin`) stand together.
        with transaction.atomic():
            super().save(*args, **kwargs)


class ActorKind(models.TextChoices):
    STAFF = "staff", "staff"
    TOKEN = "token", "API"
    LINK = "link", "whoever holds a link"
    SHELL = "shell", "command line"
    SERVICE = "service", "the service"


class Verb(models.TextChoices):
    """What was done. Deleting an account is disconnecting it."""

    CREATED = "created", "created"
    CHANGED = "changed", "changed"
    DELETED = "deleted", "deleted"
    CONNECTED = "connected", "connected"
    ROTATED = "rotated", "given a new value"
    LINK_MADE = "link_made", "link to connect made"
    SYNC_ASKED = "sync_asked", "sync asked for"
    BRAKE_CLEARED = "brake_cleared", "brake cleared"
    REPLAYED = "replayed", "replayed"
    ISSUED = "issued", "bearer token issued"
    SIGNED_IN = "signed_in", "signed in"


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    """Entries are added, and go when they are old: nobody rewrites or removes one before."""

    def expire(self) -> int:
        """Delete them, for `audit.clear_old` alone; how many."""
        return super().delete()[0]

    def update(self, **_: Any) -> NoReturn:
        raise TypeError("The audit log is only added to.")

    def delete(self) -> NoReturn:
        raise TypeError("The audit log is only added to.")


class AuditEntry(models.Model):
    """One change: who, what (fields' names, never values), when, from where. See `tenancy.audit`."""

    at = models.DateTimeField(default=timezone.now, editable=False)
    # A company's entries outlive it, for superusers. Empty too for what belongs to none: groups, superusers.
    company = models.ForeignKey(Company, null=True, on_delete=models.SET_NULL, related_name="audit_entries")
    actor_kind = models.CharField("by way of", max_length=16, choices=ActorKind)
    actor = models.CharField("who", max_length=255, blank=True)
    api_key = models.CharField("API key", max_length=4, blank=True)
    address = models.CharField("from", max_length=64, blank=True)
    verb = models.CharField("what", max_length=32, choices=Verb)
    target_model = models.CharField("kind", max_length=100)
    target_id = models.CharField("id", max_length=255)
    target = models.CharField("to", max_length=255, blank=True)
    fields = models.JSONField(default=list)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"
        ordering = ["-id"]
        indexes = [
            # The list of a company.
            models.Index(fields=["company", "-id"], name="audit_newest"),
            # What happened to one row.
            models.Index(fields=["target_id"], name="audit_target"),
            # Retention.
            models.Index(fields=["at"], name="audit_age"),
        ]

    def __str__(self) -> str:
        return f"{self.get_verb_display()}: {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("The audit log is only added to.")
        super().save(*args, **kwargs)

    def delete(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("The audit log is only added to.")


def new_unique_id() -> uuid.UUID:
    """The public id of a row: random, so that it tells nothing and collides with nothing."""
    return uuid.uuid4()
