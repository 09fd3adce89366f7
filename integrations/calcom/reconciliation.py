"""What Cal.com's API says of a company's bookings, told like deliveries: so what a webhook missed is mended.

https://cal.com/docs/api-reference/v2/bookings/get-all-bookings. Nothing is deleted for not being listed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from calendars.errors import CalendarsError
from calendars.models import Meeting, MeetingUid
from calendars.providers import ProviderError, ReconnectNeeded, Throttled, UnexpectedAnswer
from calendars.services.doorbell import ring
from integrations.calcom import handlers, payloads
from integrations.calcom.bookings import SOURCE
from integrations.calcom.errors import CalcomError
from integrations.calcom.payloads import Envelope
from integrations.http import Session
from integrations.models import CalcomConnection
from tenancy.models import Company

log = structlog.get_logger("calcom")

TASK = "integrations.tasks.reconcile_company"
API_VERSION = "2024-08-13"
PAGE = 100
# 50,000 bookings of one company; beyond, the newest would crowd out everybody else's night.
MAX_PAGES = 500
RING_LIMIT = 500
_READING_TAKES = timedelta(hours=1)
_AFTER_FAILURE = timedelta(minutes=30)
# Whether `afterStart` itself is inside is not written anywhere.
_OVERLAP = timedelta(seconds=1)
_TRIGGERS = {
    # Bookings that wait for their payment are listed as accepted too.
    "accepted": "BOOKING_ACCEPTED",
    "pending": "BOOKING_REQUESTED",
    "cancelled": "BOOKING_CANCELLED",
    "rejected": "BOOKING_REJECTED",
}


@dataclass(slots=True)
class Outcome:
    """Of one reading: bookings read, meetings that were changed or made, bookings that could not be understood.
    failure: why it ended early, in plain words."""

    read: int = 0
    mended: int = 0
    skipped: int = 0
    failure: str = ""


def ring_for_due(*, now: datetime) -> int:
    """Have the companies whose bookings are to be read reconciled by workers; how many. Twice rings once for each.

    A company with a new API key is due at once, and every night; sooner after a reading that failed, or whose worker
    was killed: then its hour is over.
    """
    with transaction.atomic():
        rows = CalcomConnection.objects.select_for_update(skip_locked=True)
        due = rows.filter(Q(due_at=None) | Q(due_at__lte=now)).order_by("due_at", "pk")
        found = list(due.values_list("pk", "company")[:RING_LIMIT])
        CalcomConnection.objects.filter(pk__in=[pk for pk, _ in found]).update(due_at=now + _READING_TAKES)
    for _, company_pk in found:
        ring(TASK, company_pk, queue="bulk")
    return len(found)


def reconcile(company_pk: int, *, now: datetime) -> Outcome:
    """Read the company's bookings from CALCOM_RECONCILE_PAST_DAYS ago on, and mend its meetings by them.

    Without an API key there is nothing to do. What was mended stays when the reading ends early, and the next one
    begins anew: what is told again changes nothing.
    """
    outcome = Outcome()
    wait, refused = _AFTER_FAILURE, False
    connection = CalcomConnection.objects.select_related("company").filter(company=company_pk).first()
    if connection is None:
        return outcome
    since = now - timedelta(days=settings.CALCOM_RECONCILE_PAST_DAYS)
    try:
        for asked_at, item in _bookings(connection.api_key, since=since):
            outcome.read += 1
            _tell(connection.company, item, outcome, asked_at=asked_at, now=now)
    except ProviderError as error:
        refused = isinstance(error, ReconnectNeeded)
        if isinstance(error, Throttled):
            wait = max(wait, error.retry_after or wait)
        outcome.failure = "Cal.com refuses the API key: give a new one." if refused else str(error)
        log.warning("calcom_not_read", company=company_pk, error=type(error).__name__)
    again = outcome.failure and not refused
    CalcomConnection.objects.filter(pk=connection.pk).update(
        reconciled_at=now,
        mended=outcome.mended,
        last_error=outcome.failure,
        due_at=now + wait if again else _next_night(connection.pk, now=now),
    )
    return outcome


def _next_night(connection_pk: int, *, now: datetime) -> datetime:
    """Between three and four o'clock UTC, each company at its own minute."""
    tonight = now.astimezone(UTC).replace(hour=3, minute=connection_pk % 60, second=0, microsecond=0)
    return tonight if tonight > now else tonight + timedelta(days=1)


def _bookings(api_key: str, *, since: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Each booking that starts after `since`, by start, with the moment before it was asked for.

    Each page is asked for from where the one before it ended: counting on from its length would leave out a booking
    for each one that was moved or deleted meanwhile.
    """
    session = Session(settings.CALCOM_API_URL, authorization=f"Bearer {api_key}", checkpoint=lambda: None)
    skip, seen = 0, set[str]()
    for _ in range(MAX_PAGES):
        asked_at = timezone.now()
        listed = _page(session, after=since, skip=skip)
        for item in listed:
            if str(item.get("uid")) not in seen:
                yield asked_at, item
        # A page that is not full is the last, whatever `pagination` counts meanwhile.
        if len(listed) < PAGE:
            return
        first, last = payloads.moment(listed[0].get("start")), payloads.moment(listed[-1].get("start"))
        if first is None or last is None or last - first < 2 * _OVERLAP:
            # All of them begin at once, so there is no time to go on from.
            skip += PAGE
            seen |= {str(item["uid"]) for item in listed if item.get("uid")}
        else:
            since, skip = last - _OVERLAP, 0
            seen = {str(item["uid"]) for item in listed if item.get("uid")}


def _page(session: Session, *, after: datetime, skip: int) -> list[dict[str, Any]]:
    headers = {"Accept": "application/json", "cal-api-version": API_VERSION}
    query = {"take": PAGE, "skip": skip, "sortStart": "asc", "afterStart": after.isoformat()}
    base = settings.CALCOM_API_URL.rstrip("/")
    reply = session.request("GET", f"{base}/v2/bookings?{urlencode(query)}", headers=headers)
    if reply.status != 200:
        raise UnexpectedAnswer(f"Cal.com refuses to list the bookings ({reply.status}).")
    listed = reply.json().get("data")
    if not isinstance(listed, list):
        raise UnexpectedAnswer("Cal.com's list of bookings is not readable.")
    return [item if isinstance(item, dict) else {} for item in listed]


def _tell(company: Company, item: dict[str, Any], outcome: Outcome, *, asked_at: datetime, now: datetime) -> None:
    trigger = _TRIGGERS.get(str(item.get("status")).lower())
    uid = item.get("uid")
    if trigger is None or not isinstance(uid, str) or not uid:
        outcome.skipped += 1
        return
    envelopes = [Envelope(trigger=trigger, said_at=asked_at, payload=_payload(item))]
    if any("noShow" in person for person in envelopes[0].payload["attendees"]):
        envelopes.append(Envelope(trigger="BOOKING_NO_SHOW_UPDATED", said_at=asked_at, payload=envelopes[0].payload))
    before = _seen(company, uid)
    try:
        with transaction.atomic():
            for envelope in envelopes:
                handlers.handle(company, envelope, received_at=asked_at, now=now, listed=True)
    except (CalcomError, CalendarsError) as error:
        outcome.skipped += 1
        log.info("booking_not_understood", company=company.pk, error=type(error).__name__)
        return
    outcome.mended += _seen(company, uid) != before


def _payload(item: dict[str, Any]) -> dict[str, Any]:
    """A booking of the API in the words of a webhook."""
    hosts = [host for host in _list(item, "hosts") if isinstance(host, dict)]
    people = [person for person in _list(item, "attendees") if isinstance(person, dict)]
    event_type = item.get("eventType")
    return {
        "uid": item.get("uid"),
        "title": item.get("title"),
        "description": item.get("description"),
        "startTime": item.get("start"),
        "endTime": item.get("end"),
        "length": item.get("duration"),
        "organizer": hosts[0] if hosts else None,
        "team": {"members": hosts[1:]},
        "attendees": [_person(person) for person in people],
        "responses": {"guests": {"value": _list(item, "guests")}},
        "location": item.get("location"),
        "metadata": {"videoCallUrl": item.get("meetingUrl")},
        "iCalUID": item.get("icsUid"),
        "type": event_type.get("slug") if isinstance(event_type, dict) else "",
        "rescheduleUid": item.get("rescheduledFromUid"),
        "cancellationReason": item.get("cancellationReason") or item.get("rejectionReason"),
        # The API lists everybody who has a seat. A booking that is off is off for all of them.
        "seatsPerTimeSlot": int(item.get("status") == "accepted" and any("seatUid" in person for person in people)),
        "status": str(item.get("status")).upper(),
    }


def _person(person: dict[str, Any]) -> dict[str, Any]:
    found = {"email": person.get("email"), "name": person.get("name")}
    return {**found, "noShow": True} if person.get("absent") is True else found


def _list(item: dict[str, Any], name: str) -> list[Any]:
    found = item.get(name)
    return found if isinstance(found, list) else []


def _seen(company: Company, uid: str) -> tuple[Any, ...] | None:
    """What of the booking's meeting would be mended; None: there is none."""
    name = MeetingUid.objects.filter(company=company, source=SOURCE, uid=uid).only("meeting").first()
    meeting = Meeting.objects.filter(pk=name.meeting_id).first() if name and name.meeting_id else None
    if meeting is None:
        return None
    people = tuple(meeting.participants.values_list("email", "no_show"))
    return (
        meeting.status,
        meeting.start_time,
        meeting.end_time,
        meeting.user_id,
        meeting.title,
        meeting.location,
        people,
    )
