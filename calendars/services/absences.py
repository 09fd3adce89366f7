"""Absences, each with the ledger row that makes its user unavailable: both are written in one transaction."""

from datetime import datetime

from django.db import transaction

from busyblocks.entries import fbtype_of
from busyblocks.models import BusyBlock, EventStatus, Transparency
from busyblocks.prepared import revised
from calendars.errors import MeetingEndsBeforeItStarts
from calendars.models import Absence
from tenancy.models import Company, CrmUser


def record(
    company: Company,
    *,
    source: str,
    uid: str,
    email: str,
    user: CrmUser | None,
    start_time: datetime,
    end_time: datetime,
    all_day: bool = False,
    title: str = "",
    said_at: datetime,
    now: datetime,
) -> Absence:
    """The absence that `source` calls `uid`, as it says now; an older word changes nothing.

    user: who is away; None: whoever comes to be known by `email` (lower case). Times are aware, UTC; with `all_day`,
    00:00 of the first date and of the date after the last. Raises `MeetingEndsBeforeItStarts`.
    """
    if end_time < start_time:
        raise MeetingEndsBeforeItStarts
    facts = {"email": email, "start_time": start_time, "end_time": end_time, "all_day": all_day, "title": title}
    with transaction.atomic():
        absence, new = Absence.objects.get_or_create(
            company=company, source=source, uid=uid, defaults={**facts, "user": user, "source_updated_at": said_at}
        )
        if not new:
            absence = Absence.objects.select_for_update().get(pk=absence.pk)
            if said_at < absence.source_updated_at:
                return absence
            if user is not None or email != absence.email:
                absence.user = user
            for name, value in facts.items():
                setattr(absence, name, value)
            absence.source_updated_at = said_at
            absence.save()
        _write_row(absence, now=now)
    return absence


def adopt(user: CrmUser, *, email: str, now: datetime) -> int:
    """Give `user` the absences that wait for somebody of this e-mail; how many."""
    waiting = Absence.objects.filter(company_id=user.company_id, user=None, email=email.strip().lower())
    with transaction.atomic():
        found = list(waiting.exclude(email="").select_for_update().order_by("pk"))
        for absence in found:
            absence.user = user
            absence.save(update_fields=["user", "updated_at"])
            _write_row(absence, now=now)
    return len(found)


def _write_row(absence: Absence, *, now: datetime) -> None:
    rows = BusyBlock.objects.filter(meeting_key=str(absence.unique_id))
    touched = set(rows.exclude(user=absence.user_id).values_list("user_id", flat=True))
    rows.exclude(user=absence.user_id).delete()
    if absence.user_id is not None:
        values = {
            "company_id": absence.company_id,
            "source": absence.source,
            "uid": f"{absence.unique_id}@calendar",
            "title": absence.title,
            "start_time": absence.start_time,
            "end_time": absence.end_time,
            "all_day": absence.all_day,
            "fbtype": fbtype_of(transparency=Transparency.OPAQUE, status=EventStatus.CONFIRMED, unavailable=True),
        }
        row = rows.filter(user=absence.user_id).first()
        if row is None or any(getattr(row, name) != value for name, value in values.items()):
            BusyBlock.objects.update_or_create(
                meeting_key=str(absence.unique_id), user_id=absence.user_id, recurrence_id="", defaults=values
            )
            touched.add(absence.user_id)
    for user_id in sorted(touched):
        revised(user_id, at=now)
