"""Deliveries as Cal.com sends them, from the sample bodies."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.test import Client

from calendars.models import CalendarAccount
from integrations.calcom.signature import signature_of
from tenancy.models import Company, CrmUser

SAMPLES = Path(__file__).resolve().parent.parent / "calcom"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def compact(document: Any) -> bytes:
    """JSON as it is on the wire: without blanks."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def sample(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return document


def delivery(
    trigger: str,
    uid: str = "a",
    *,
    at: str = "09:00",
    start: str = "2026-03-20T10:00:00Z",
    end: str = "2026-03-20T10:30:00Z",
    host: str | None = "alice@acme.example",
    people: tuple[str, ...] = ("client@example.com",),
    **facts: Any,
) -> dict[str, Any]:
    """A delivery about the booking `uid`, said on 1 March at `at`; `facts` go into the payload."""
    payload = {
        "uid": uid,
        "title": "Consultation",
        "startTime": start,
        "endTime": end,
        "attendees": [{"email": email, "name": email.partition("@")[0].title()} for email in people],
        **facts,
    }
    if host is not None:
        payload["organizer"] = {"name": "Alice", "email": host, "timeZone": "Europe/Berlin"}
    return {"triggerEvent": trigger, "createdAt": f"2026-03-01T{at}:00.000Z", "payload": payload}


def moved(
    uid: str, old: str, *, at: str, hour: int, trigger: str = "BOOKING_RESCHEDULED", **facts: Any
) -> dict[str, Any]:
    """The booking `old` moved to `hour` o'clock of 21 March, as `uid`."""
    start, end = f"2026-03-21T{hour:02}:00:00Z", f"2026-03-21T{hour:02}:30:00Z"
    return delivery(trigger, uid, at=at, start=start, end=end, rescheduleUid=old, **facts)


def acme() -> Company:
    company, _ = Company.objects.get_or_create(url_id="acme")
    return company


def user_with_account(unique_id: str = "alice", email: str = "alice@acme.example", *, url_id: str = "acme") -> CrmUser:
    company, _ = Company.objects.get_or_create(url_id=url_id)
    user, _ = CrmUser.objects.get_or_create(company=company, unique_id=unique_id)
    CalendarAccount.objects.create(company=company, user=user, provider="google", email=email, identity=email)
    return user


def send(document: Any, *, url_id: str = "acme", secret: str = "", content_type: str = "application/json") -> Any:
    """POST to the company's webhook, signed where there is a secret."""
    body = document if isinstance(document, bytes) else compact(document)
    headers = {"X-Cal-Signature-256": signature_of(body, secret)} if secret else {}
    return Client().post(f"/calcom/{url_id}/webhook", data=body, content_type=content_type, headers=headers)
