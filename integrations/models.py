"""What vendors send us, kept as it came, and the secrets by which we know that it was them or for them."""

from django.db import models
from django.db.models import Q

from calendars.models import CalendarAccount
from tenancy.encryption import EncryptedBytesField, EncryptedJSONField
from tenancy.models import Company, new_unique_id


class CalcomSecret(models.Model):
    """A secret that signs a company's Cal.com deliveries; several are valid while one replaces another."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="calcom_secrets")
    secret = EncryptedJSONField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "Cal.com secret"

    def __str__(self) -> str:
        return f"of {self.created_at:%Y-%m-%d}"


class DeliveryState(models.TextChoices):
    RECEIVED = "received"
    HANDLED = "handled"
    IGNORED = "ignored"
    FAILED = "failed"


class WebhookDelivery(models.Model):
    """One delivery of Cal.com, stored before anything is understood. The row is the queue; tasks only ring."""

    unique_id = models.UUIDField(default=new_unique_id, unique=True, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="webhook_deliveries")
    # Names and e-mails of people who may never have heard of this service, as the headers tell of their servers.
    body = EncryptedBytesField()
    content_type = models.CharField(max_length=255, blank=True)
    # Those that say something of the delivery (`deliveries.KEPT_HEADERS`), never the caller's own secrets.
    headers = EncryptedJSONField(default=dict, blank=True)
    signed = models.BooleanField(help_text="The signature was checked against one of the company's secrets.")
    trigger = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=16, choices=DeliveryState, default=DeliveryState.RECEIVED)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    # The public id of the meeting that it led to.
    meeting_key = models.CharField(max_length=36, blank=True)
    received_at = models.DateTimeField(auto_now_add=True)
    handled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        ordering = ["-id"]
        indexes = [
            # The sweep: what waits.
            models.Index(fields=["next_attempt_at"], condition=Q(state="received"), name="delivery_waiting"),
            models.Index(fields=["company", "-id"], name="delivery_newest"),
            # The admin's first page, and replaying what failed.
            models.Index(fields=["company", "-id"], condition=Q(state="failed"), name="delivery_failed"),
            # Retention.
            models.Index(fields=["received_at"], name="delivery_age"),
        ]

    def __str__(self) -> str:
        return f"{self.trigger or 'delivery'} {self.state}"


class RefusalReason(models.TextChoices):
    UNSIGNED = "unsigned", "without a signature"
    WRONG_SIGNATURE = "wrong_signature", "wrong signature"
    TOO_LARGE = "too_large", "too large"


class RefusedDeliveries(models.Model):
    """How many deliveries for a company were refused on a day (UTC), and why. They are counted, never kept."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="refused_deliveries")
    day = models.DateField()
    reason = models.CharField(max_length=32, choices=RefusalReason)
    count = models.PositiveBigIntegerField(default=0)
    last_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "refused deliveries"
        ordering = ["-day", "id"]
        constraints = [
            models.UniqueConstraint(fields=["company", "day", "reason"], name="refusals_are_counted_by_day_and_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.reason}: {self.count}"


class CalcomConnection(models.Model):
    """How a company's bookings are read over Cal.com's API, to mend what its webhooks missed."""

    company = models.OneToOneField(Company, on_delete=models.CASCADE, related_name="calcom_connection")
    api_key = EncryptedJSONField(help_text="An API key of Cal.com (cal_live_…) that may read the bookings.")
    reconciled_at = models.DateTimeField(null=True, blank=True)
    # When they are read next; null: at once.
    due_at = models.DateTimeField(null=True, blank=True, editable=False)
    mended = models.PositiveIntegerField(default=0, help_text="Meetings that the last reading changed.")
    last_error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "Cal.com connection"

    def __str__(self) -> str:
        return f"of {self.created_at:%Y-%m-%d}"


class OAuthState(models.Model):
    """A browser on its way to a vendor and back, to connect one account. Good for one return, until it expires."""

    digest = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256 of the state.")
    account = models.ForeignKey(CalendarAccount, on_delete=models.CASCADE, related_name="+")
    provider = models.CharField(max_length=16)
    verifier = EncryptedJSONField(help_text="PKCE's code verifier (RFC 7636).")
    return_to = EncryptedJSONField(default="", help_text="It may hold the link of a page.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    redeemed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "OAuth state"
        indexes = [
            # Clearing out.
            models.Index(fields=["expires_at"], name="oauth_state_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.provider} until {self.expires_at:%Y-%m-%d %H:%M}"
