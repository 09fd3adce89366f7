"""Cal.com's API v2, as far as bookings are listed.

    with CalcomSimulator(api_key="cal_live_1") as calcom:
        calcom.put(booking("a", start="2026-03-20T10:00:00.000Z"))

https://cal.com/docs/api-reference/v2/bookings/get-all-bookings (version 2024-08-13).
"""

from datetime import datetime
from typing import Any

from tests.proxy import Ask, Canned
from tests.simulators.base import Simulator, header_of, json_answer, path_of, query_of

VERSION = "2024-08-13"


def booking(uid: str, **facts: Any) -> dict[str, Any]:
    """A booking of alice's, on 20 March at ten, as the API tells it."""
    return {
        "id": len(uid),
        "uid": uid,
        "title": "Consultation",
        "description": "",
        "hosts": [{"id": 1, "name": "Alice", "email": "alice@acme.example", "username": "alice", "timeZone": "UTC"}],
        "status": "accepted",
        "start": "2026-03-20T10:00:00.000Z",
        "end": "2026-03-20T10:30:00.000Z",
        "duration": 30,
        "eventTypeId": 50,
        "eventType": {"id": 50, "slug": "consultation"},
        "location": "Room 1",
        "meetingUrl": None,
        "absentHost": False,
        "createdAt": "2026-03-01T09:00:00.000Z",
        "updatedAt": "2026-03-01T09:00:00.000Z",
        "metadata": {},
        "icsUid": f"{uid}@cal.com",
        "attendees": [{"name": "Client", "email": "client@example.com", "timeZone": "UTC", "absent": False}],
        "guests": [],
        "bookingFieldsResponses": {},
        **facts,
    }


class CalcomSimulator(Simulator):
    """One account's bookings. Whoever asks without its key, or for another version, is refused as Cal.com refuses."""

    def __init__(self, api_key: str = "cal_live_acme") -> None:
        super().__init__()
        self.api_key = api_key
        self.bookings: dict[str, dict[str, Any]] = {}

    def put(self, *bookings: dict[str, Any]) -> None:
        with self.lock:
            self.bookings |= {item["uid"]: item for item in bookings}

    def respond(self, ask: Ask) -> Canned:
        if path_of(ask) != "/v2/bookings" or header_of(ask, "cal-api-version") != VERSION:
            return _refusal(404, "NotFoundException")
        if header_of(ask, "Authorization") != f"Bearer {self.api_key}":
            return _refusal(401, "UnauthorizedException")
        query = query_of(ask)
        take, skip = int(query.get("take", "100")), int(query.get("skip", "0"))
        if not 1 <= take <= 250:
            return _refusal(400, "BadRequestException")
        since = datetime.fromisoformat(query["afterStart"]) if "afterStart" in query else None
        found = [item for item in self.bookings.values() if since is None or _start(item) >= since]
        found.sort(key=_start, reverse=query.get("sortStart") == "desc")
        page = found[skip : skip + take]
        pagination = {
            "totalItems": len(found),
            "remainingItems": max(0, len(found) - skip - take),
            "returnedItems": len(page),
            "itemsPerPage": take,
            "hasNextPage": skip + take < len(found),
            "hasPreviousPage": skip > 0,
        }
        return json_answer({"status": "success", "data": page, "pagination": pagination})


def _start(item: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(item["start"])


def _refusal(status: int, code: str) -> Canned:
    return json_answer({"status": "error", "error": {"code": code, "message": code}}, status)
