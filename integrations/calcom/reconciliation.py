"""What Cal.com's API says of a company's bookings, told like deliveries: so what a webhook missed is mended.

https://cal.com/docs/api-reference/v2/bookings/get-all-bookings. Nothing is deleted for not being listed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from calendars.errors import CalendarsError
from calendars.models import Meeting, MeetingUid
from calendars.providers import ProviderError, ReconnectNeeded, UnexpectedAnswer
from calendars.services.doorbell import ring
from integrations.calcom import handlers
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
_TRIGGERS = {
    "accepted": "BOOKING_CREATED",
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


def ring_for_all() -> int:
    """Have every company with an API key reconciled by a worker; how many."""
    pks = list(CalcomConnection.objects.order_by("company").values_list("company", flat=True))
    for pk in pks:
        ring(TASK, pk, queue="bulk")
    return len(pks)


def reconcile(company_pk: int, *, now: datetime) -> Outcome:
    """Read the company's bookings from CALCOM_RECONCILE_PAST_DAYS ago on, and mend its meetings by them.

    Without an API key there is nothing to do. What was mended stays when the reading ends early.
    """
    outcome = Outcome()
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
        outcome.failure = "Cal.com refuses the API key: give a new one." if refused else str(error)
        log.warning("calcom_not_read", company=company_pk, error=type(error).__name__)
    CalcomConnection.objects.filter(pk=connection.pk).update(
        reconciled_at=now, mended=outcome.mended, last_error=outcome.failure
    )
    return outcome


def _bookings(api_key: str, *, since: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Each booking that starts after `since`, by start, with the moment before it was asked for."""
    session = Session(settings.CALCOM_API_URL, authorization=f"Bearer {api_key}", checkpoint=lambda: None)
    headers = {"Accept": "application/json", "cal-api-version": API_VERSION}
    base = settings.CALCOM_API_URL.rstrip("/")
    for number in range(MAX_PAGES):
        query = {"take": PAGE, "skip": number * PAGE, "sortStart": "asc", "afterStart": since.isoformat()}
        asked_at = timezone.now()
        reply = session.request("GET", f"{base}/v2/bookings?{urlencode(query)}", headers=headers)
        if reply.status != 200:
            raise UnexpectedAnswer(f"Cal.com refuses to list the bookings ({reply.status}).")
        listed = reply.json().get("data")
        if not isinstance(listed, list):
            raise UnexpectedAnswer("Cal.com's list of bookings is not readable.")
        for item in listed:
            yield asked_at, item if isinstance(item, dict) else {}
        # A page that is not full is the last, whatever `pagination` counts meanwhile.
        if len(listed) < PAGE:
            return


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
                handlers.handle(company, envelope, received_at=asked_at, now=now)
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
        # The API lists everybody who has a seat; `attendeeSeatId` would speak of one of them.
        "seatsPerTimeSlot": int(any("seatUid" in person for person in people)),
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
