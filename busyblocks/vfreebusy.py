"""Free/busy as iCalendar: one VFREEBUSY (RFC 5545 §3.6.4)."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from django.conf import settings
from django.utils import timezone
from rest_framework.renderers import BaseRenderer

from busyblocks.moments import compact


class VFreeBusyRenderer(BaseRenderer):
    """What the free/busy view answers, as text/calendar; refusals stay JSON documents."""

    media_type = "text/calendar"
    format = "ifb"
    charset = "utf-8"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        if "periods" not in data:
            response = (renderer_context or {})["response"]
            response["Content-Type"] = "application/json"
            return json.dumps(data).encode()
        return vfreebusy(data, now=timezone.now()).encode()


def vfreebusy(answer: Mapping[str, Any], *, now: datetime) -> str:
    """The text, lines of at most 75 octets; periods by start, free time left out, as it is by default."""
    start, end = _compact(answer["start_time"]), _compact(answer["end_time"])
    name = uuid5(NAMESPACE_URL, f"{answer['user_unique_id']}/{start}/{end}")
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{settings.FEED_PRODID}",
        "METHOD:PUBLISH",
        "BEGIN:VFREEBUSY",
        f"UID:{name}",
        f"DTSTAMP:{compact(now.replace(microsecond=0))}",
        f"DTSTART:{start}",
        f"DTEND:{end}",
        *(
            f"FREEBUSY;FBTYPE={period['fbtype']}:{_compact(period['start_time'])}/{_compact(period['end_time'])}"
            for period in answer["periods"]
        ),
        "END:VFREEBUSY",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines)


def _compact(text: str) -> str:
    return text.replace("-", "").replace(":", "")
