"""The company's people: who an e-mail belongs to, and what waits for somebody to be known by theirs."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Lower

from busyblocks.prepared import revised
from calendars.models import Absence, CalendarAccount, Meeting, MeetingParticipant
from calendars.models.meeting import ParticipantRole
from calendars.services import absences, meetings
from tenancy import audit
from tenancy.models import Company, CrmUser

# People that one sweep gives what waits for them.
MATCH_LIMIT = 500


def known_by(company: Company, email: str) -> CrmUser | None:
    """The company's user with a calendar account of this e-mail (connected ones first, then the oldest), else with
    this e-mail of their own; letter case does not count. None when nobody has it.
    """
    if not email:
        return None
    account = (
        CalendarAccount.objects.filter(company=company, email__iexact=email)
        .select_related("user")
        .defer("credentials", "provider_state")
        .order_by("-connected", "pk")
        .first()
    )
    if account is not None:
        return account.user
    return CrmUser.objects.filter(company=company, email__iexact=email).order_by("pk").first()


def change(
    user: CrmUser,
    *,
    email: str | None = None,
    name: str | None = None,
    time_zone: str | None = None,
    now: datetime,
) -> CrmUser:
    """The user with what is not None changed; bookings that waited for the new e-mail become theirs."""
    with transaction.atomic():
        given = {"email": email, "name": name, "time_zone": time_zone}
        changed = [field for field, value in given.items() if value is not None and value != getattr(user, field)]
        for field in changed:
            setattr(user, field, given[field])
        user.save(update_fields=["email", "name", "time_zone"])
        audit.record_change(user, *changed)
        # What is prepared from the user's rows may name them, and reads dates in their zone.
        revised(user.pk, at=now)
        if email:
            adopt(user, email=email, now=now)
    return user


def adopt(user: CrmUser, *, email: str, now: datetime) -> int:
    """Give `user` the meetings and absences that wait for somebody of this e-mail; how many."""
    return meetings.adopt(user, email=email, now=now) + absences.adopt(user, email=email, now=now)


def match_waiting(*, now: datetime) -> int:
    """Give what waits for its host to whoever is known by that e-mail by now; how many.

    Whoever takes up an e-mail is given what waits at once. This finds what was booked in the very moment in which
    they did, each of the two unseen by the other, and e-mails that came by other ways.
    """
    count = 0
    for company, email in _wanted(CalendarAccount.objects.all()) | _wanted(CrmUser.objects.all()):
        user = known_by(company, email)
        if user is not None:
            count += adopt(user, email=email, now=now)
    return count


def _wanted(rows: QuerySet[Any]) -> set[tuple[Company, str]]:
    """The e-mails of `rows` (each with a company) for which something waits."""
    here = {"company": OuterRef("company")}
    hosts = MeetingParticipant.objects.filter(
        user=None, role=ParticipantRole.HOST, email=OuterRef("known"), meeting__company=OuterRef("company")
    )
    found = (
        rows.exclude(email="")
        .annotate(known=Lower("email"))
        .filter(
            Exists(Meeting.objects.filter(user=None, organizer_email=OuterRef("known"), **here))
            | Exists(Absence.objects.filter(user=None, email=OuterRef("known"), **here))
            | Exists(hosts)
        )
        .order_by("pk")
        .values_list("company", "known")[:MATCH_LIMIT]
    )
    pairs = list(found)
    companies = Company.objects.in_bulk({pk for pk, _ in pairs})
    return {(companies[pk], email) for pk, email in pairs}
