"""Who is asking: companies, their API keys, their CRM users, and the staff of the admin."""

import hashlib
import secrets
import uuid
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F

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

    def __str__(self) -> str:
        return self.name or self.unique_id


def bump_revision(user_pk: int, *, at: datetime) -> None:
    """Say that the user's ledger changed at `at`; call it in the transaction of the change."""
    CrmUser.objects.filter(pk=user_pk).update(revision=F("revision") + 1, revised_at=at)


class Staff(AbstractUser):
    """A person who signs in to the admin; with a `company`, they administer that company only."""

    company = models.ForeignKey(Company, null=True, blank=True, on_delete=models.CASCADE, related_name="staff")

    class Meta(AbstractUser.Meta):
        verbose_name_plural = "staff"


def new_unique_id() -> uuid.UUID:
    """The public id of a row: random, so that it tells nothing and collides with nothing."""
    return uuid.uuid4()
