"""Good deliveries, answered before Django's request is made: bookings come in bursts, and Cal.com waits for nobody.

Only what is certainly good ends here: signed by a secret that this process knows, readable, and stored by one statement
that asks itself whether the company and its secrets still are as they were known. Whatever is refused, unreadable,
unknown or unusual goes the common way, where `views.calcom_webhook` decides anew and finds the words.
"""

import io
import json
import re
from datetime import UTC, datetime
from functools import lru_cache, partial

from django.conf import settings
from django.utils.http import parse_header_parameters

from integrations import deliveries
from integrations.calcom import senders, signature
from integrations.views import THANKS
from tenancy.ahead import Ahead, Answer, Environ, common_headers

_PATH = re.compile(r"/calcom/([a-z0-9-]+)/webhook")
_BODY = json.dumps(THANKS).encode()
_KEPT = {name: f"HTTP_{name.upper().replace('-', '_')}" for name in deliveries.KEPT_HEADERS}


def _answer(environ: Environ) -> Answer | None:
    """200 for a delivery that was stored; None where anything else is to be answered."""
    match = _PATH.fullmatch(environ["PATH_INFO"])
    if match is None or environ.get("REQUEST_METHOD") != "POST":
        return None
    sender, common = senders.remembered(match[1]), common_headers(environ)
    if sender is None or common is None:
        return None
    body = _body(environ)
    given = environ.get(_KEPT[signature.HEADER], "")
    if body is None or (sender.secrets and not signature.is_signed(body, given, sender.secrets)):
        return None
    stored = deliveries.accept(
        sender,
        body,
        content_type=_media_type(environ.get("CONTENT_TYPE", "")),
        headers={name: environ[key] for name, key in _KEPT.items() if key in environ},
        now=datetime.now(UTC),
    )
    if not stored:
        return None
    return "200 OK", [("Content-Type", "application/json"), *_guards(), *common, _LENGTH], [_BODY]


_LENGTH = ("Content-Length", str(len(_BODY)))


def _body(environ: Environ) -> bytes | None:
    """All of it, which stays readable for the common way; None where it is too long, cut short or of unknown length."""
    length = environ.get("CONTENT_LENGTH", "")
    if "HTTP_TRANSFER_ENCODING" in environ or not (length.isascii() and length.isdigit() and len(length) < 10):
        return None
    if int(length) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        return None
    try:
        body: bytes = environ["wsgi.input"].read(int(length))
    except OSError:
        return None
    environ["wsgi.input"] = io.BytesIO(body)
    return body if len(body) == int(length) else None


@lru_cache(maxsize=256)
def _media_type(content_type: str) -> str:
    """As `HttpRequest.content_type`."""
    return parse_header_parameters(content_type)[0]


def _guards() -> list[tuple[str, str]]:
    """What Django's middleware says of every answer that is no feed."""
    return [
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", settings.SECURE_REFERRER_POLICY),
        ("X-Frame-Options", settings.X_FRAME_OPTIONS),
    ]


# A WSGI application before another one.
DeliveriesFirst = partial(Ahead, "/calcom/", _answer)
