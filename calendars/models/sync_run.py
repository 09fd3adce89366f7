"""Runs of the mirror: what was asked for, how far it is and what came of it; and all syncs, counted by the hour."""

from django.db import models
from django.db.models import Q

from calendars.models.account import CalendarAccount
from calendars.models.calendar import Calendar
from tenancy.models import Company, CrmUser, new_unique_id


class RunState(models.TextChoices):
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    FAILED = "failed"


UNFINISHED = (RunState.QUEUED, RunState.IN_PROGRESS)


class SyncRun(models.Model):
    """A sync that somebody asked for: of one user's accounts, or of a whole company's (`user` is empty)."""

    unique_id = models.UUIDField(default=new_unique_id, unique=True, editable=False)
    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="sync_runs")
    user = models.ForeignKey(CrmUser, null=True, blank=True, on_delete=models.CASCADE, related_name="sync_runs")
    status = models.CharField(max_length=32, choices=RunState, default=RunState.QUEUED)
    force_refresh = models.BooleanField(default=False, help_text="Read everything again, whatever the cursors say.")
    accounts_count = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [
            # The list of runs, newest first.
            models.Index(fields=["company", "-started_at"], name="sync_run_newest"),
            # The sweep.
            models.Index(fields=["status"], condition=Q(finished_at=None), name="sync_run_unfinished"),
        ]

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M} {self.status}"


class AccountRun(models.Model):
    """One account's part of a run. The counts move in the transaction that writes the events they count."""

    run = models.ForeignKey(SyncRun, on_delete=models.CASCADE, related_name="account_runs")
    account = models.ForeignKey(CalendarAccount, null=True, on_delete=models.SET_NULL, related_name="account_runs")
    status = models.CharField(max_length=32, choices=RunState, default=RunState.QUEUED)
    # The lease under which it was taken up; a later lease takes it over.
    fence = models.BigIntegerField(null=True, blank=True, editable=False)
    # When a task was last sent for it: the sweep sends another when nothing came of that.
    enqueued_at = models.DateTimeField(null=True, blank=True, editable=False)
    events_created = models.PositiveIntegerField(default=0)
    events_updated = models.PositiveIntegerField(default=0)
    events_deleted = models.PositiveIntegerField(default=0)
    events_withheld = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["run", "account"], name="account_is_once_in_a_run"),
        ]
        indexes = [
            # The worker: what waits for this account. The sweep: what nobody finished.
            models.Index(fields=["account"], condition=Q(finished_at=None), name="account_run_unfinished"),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.status}"


class CalendarRun(models.Model):
    """What one calendar brought to an account's part of a run; written in the transaction that writes its events."""

    part = models.ForeignKey(AccountRun, on_delete=models.CASCADE, related_name="calendar_runs")
    calendar = models.ForeignKey(Calendar, null=True, on_delete=models.SET_NULL, related_name="+")
    # A calendar may go, and what it brought is told all the same.
    name = models.CharField(max_length=255, blank=True)
    events_created = models.PositiveIntegerField(default=0)
    events_updated = models.PositiveIntegerField(default=0)
    events_deleted = models.PositiveIntegerField(default=0)
    events_withheld = models.PositiveIntegerField(default=0)
    events_held = models.PositiveIntegerField(default=0)
    # The first of the withheld: the event's id and the reason.
    withheld = models.JSONField(default=list, blank=True)
    error = models.TextField(blank=True)
    finished_at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["part", "calendar"], name="calendar_is_once_in_a_part_of_a_run"),
        ]

    def __str__(self) -> str:
        return self.name or "(no name)"


class SyncHour(models.Model):
    """What all syncs of a company came to in one hour (UTC), those that beat began as well as those of runs."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+")
    hour = models.DateTimeField()
    syncs = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    events_changed = models.PositiveBigIntegerField(default=0)
    milliseconds = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["company", "hour"], name="syncs_are_counted_by_company_and_hour"),
        ]
        indexes = [
            # The dashboard of superusers, and retention.
            models.Index(fields=["hour"], name="sync_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H}:00: {self.syncs}"
