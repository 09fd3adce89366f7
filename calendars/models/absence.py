"""Absences: when a host is out of office, as a source says."""

from django.db import models
from django.db.models import F, Q

from tenancy.models import Company, CrmUser, new_unique_id


class Absence(models.Model):
    """Somebody is away. The time stands in the ledger too, as the row whose `meeting_key` is its unique id.

    Without a `user` it is the absence of somebody whom nobody has matched yet; then it makes nobody busy.
    """

    unique_id = models.UUIDField(default=new_unique_id, unique=True, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="absences")
    user = models.ForeignKey(CrmUser, null=True, blank=True, on_delete=models.CASCADE, related_name="absences")
    source = models.CharField(max_length=32)
    uid = models.CharField(max_length=255, help_text="What the source calls it.")
    email = models.CharField(max_length=254, blank=True)
    title = models.TextField(blank=True)
    start_time = models.DateTimeField()
    end_time = models.DateTimeField()
    all_day = models.BooleanField(default=False)
    source_updated_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["start_time", "id"]
        constraints = [
            models.UniqueConstraint(fields=["company", "source", "uid"], name="absence_is_told_once"),
            models.CheckConstraint(
                condition=Q(end_time__gte=F("start_time")), name="absence_does_not_end_before_it_starts"
            ),
        ]
        indexes = [
            # Absences of somebody who appears later.
            models.Index(fields=["company", "email"], condition=Q(user=None), name="absence_unmatched"),
        ]

    def __str__(self) -> str:
        return f"{self.start_time:%Y-%m-%d} {self.source}"
