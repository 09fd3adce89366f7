"""The company's people: who an e-mail belongs to, and what waits for somebody to be known by theirs."""

from collections.abc import Iterable
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


def known(company: Company, emails: Iterable[str]) -> dict[str, CrmUser]:
    """The company's users by these e-mails (lower case), where somebody has them: one or two queries for all.

    Whoever has a connected calendar account of an e-mail comes first: the vendor has said that it is theirs. Then
    whoever has it as their own, which the CRM says; last, whoever has named it in an account that was never connected.
    Of several the oldest.
    """
    wanted = {email for email in emails if email}
    found: dict[str, CrmUser] = {}
    claimed: dict[str, CrmUser] = {}
    if not wanted:
        return found
    accounts = CalendarAccount.objects.filter(company=company).annotate(folded=Lower("email"))
    for account in (
        accounts.filter(folded__in=wanted)
        .select_related("user")
        .defer("credentials", "provider_state")
        .order_by("-connected", "pk")
    ):
        (found if account.connected else claimed).setdefault(account.folded, account.user)
    if missing := wanted - found.keys():
        users = CrmUser.objects.filter(company=company).annotate(folded=Lower("email"))
        for user in users.filter(folded__in=missing).order_by("pk"):
            found.setdefault(user.folded, user)
    return {**claimed, **found}


def known_by(company: Company, email: str) -> CrmUser | None:
    """Of `known`, the one with this e-mail in any letter case; None when nobody has it."""
    email = email.lower()
    return known(company, [email]).get(email)


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
