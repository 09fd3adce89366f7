"""`/calendars/:company_url_id/ics/:token`: the public feed. Whoever knows the address may read it."""

import re
from functools import lru_cache
from typing import TypeVar

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from icsfeeds import accesses, guessing, lookup, publication
from icsfeeds.errors import NoSuchFeed
from icsfeeds.pieces import Joined
from tenancy.clients import address_of
from tenancy.documents import error_document

CONTENT_TYPE = "text/calendar; charset=utf-8"
# Without a name, browsers would save it under its token.
DISPOSITION = 'inline; filename="calendar.ics"'
# The address is a secret: search engines, referrers and content sniffers have no business with it.
GUARDS = {
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
# Where `wsgi` leaves what it has found.
FOUND = "icsfeeds.found"
_RETRY_AFTER_SECONDS = 5
log = structlog.get_logger("feed")
Response = TypeVar("Response", bound=HttpResponseBase)
_REFUSES_GZIP = re.compile(r"q\s*=\s*0(?:\.0{0,3})?\s*\Z")


@csrf_exempt
def feed(request: HttpRequest, company_url_id: str, token: str) -> HttpResponseBase:
    """The calendar, or 304 where the reader has it already: then one query, and nothing is rendered."""
    if request.method not in {"GET", "HEAD"}:
        return _not_allowed()
    now = timezone.now()
    meta = request.META
    digest = lookup.digest_of(token)
    address, second = address_of(meta), now.timestamp()
    if FOUND not in meta and guessing.is_refused(address, digest, now=second):
        return too_many()
    edition: publication.Edition | None
    try:
        found = meta[FOUND] if FOUND in meta else lookup.find(company_url_id, digest, now=now)
        version = publication.version_of(found, now=now)
        if token.endswith(lookup.FREE_BUSY_SUFFIX):
            name, edition = "freebusy.ifb", publication.free_busy_of(found, now=now)
        else:
            name, edition = "calendar.ics", None if version else publication.edition_of(found, None, now=now)
        if edition is not None:
            version = edition.version
        gzipped = takes_gzip(meta.get("HTTP_ACCEPT_ENCODING", ""))
        conditions = (meta.get("HTTP_IF_NONE_MATCH"), meta.get("HTTP_IF_MODIFIED_SINCE"))
        response: HttpResponseBase
        if version is not None and version.is_known_to(*conditions):
            # Streaming, so that nobody counts its length; and the type because caches take over what a 304 says
            # (RFC 9110 §8.6, RFC 9111 §3.2).
            response = StreamingHttpResponse((), status=304, content_type=CONTENT_TYPE)
            # All day long, from thousands of programs; they are counted, and the log is for what happened.
            response.unlogged = True  # type: ignore[attr-defined]
        elif request.method == "HEAD":
            response = StreamingHttpResponse((), content_type=CONTENT_TYPE)
        else:
            body = publication.prepared(found, version) if version and edition is None else None
            edition = edition or publication.edition_of(found, version, now=now)
            version = edition.version
            response = _sent(edition.body, gzipped=gzipped)
            # Of what is as it was there are too many, as of 304s.
            response.unlogged = body is not None  # type: ignore[attr-defined]
    except NoSuchFeed:
        guessing.missed(address, now=second)
        return not_found()
    except (OperationalError, InterfaceError) as error:
        return unavailable(error)
    headers = response.headers
    if gzipped and response.status_code != 304:
        headers["Content-Encoding"] = "gzip"
    if version is not None:
        headers["ETag"] = version.etag(gzipped=gzipped)
        if modified := version.last_modified(now):
            headers["Last-Modified"] = modified
    headers["Cache-Control"] = f"private, max-age={settings.FEED_MAX_AGE_SECONDS}"
    headers["Vary"] = "Accept-Encoding"
    kind = "attachment" if "download" in meta.get("QUERY_STRING", "") and "download" in request.GET else "inline"
    headers["Content-Disposition"] = f'{kind}; filename="{name}"'
    guessing.was_right(digest)
    accesses.note(found.pk, agent=meta.get("HTTP_USER_AGENT", ""), now=now)
    return _guarded(response)


def _sent(body: Joined, *, gzipped: bool) -> HttpResponseBase:
    """The body at once where it is held as a whole, else piece by piece."""
    whole = body.whole(gzipped=gzipped)
    if whole is not None:
        response: HttpResponseBase = HttpResponse(whole, content_type=CONTENT_TYPE)
    else:
        response = StreamingHttpResponse(body.chunks(gzipped=gzipped), content_type=CONTENT_TYPE)
    response.headers["Content-Length"] = str(body.gzip_size if gzipped else body.size)
    return response


@lru_cache(maxsize=256)
def takes_gzip(accept_encoding: str) -> bool:
    """Whether the header (RFC 9110 §12.5.3) names gzip and does not refuse it."""
    for choice in accept_encoding.lower().split(","):
        coding, _, weight = choice.partition(";")
        if coding.strip() in {"gzip", "x-gzip"}:
            return _REFUSES_GZIP.search(weight) is None
    return False


def _not_allowed() -> HttpResponseBase:
    response = error_document(405, "method_not_allowed", "Method Not Allowed", "A feed answers to GET and HEAD.")
    response["Allow"] = "GET, HEAD"
    return _guarded(response)


def not_found() -> HttpResponse:
    """One answer for every reason, in the words of any path that leads nowhere."""
    response = error_document(404, "not_found", "Resource Not Found", "The requested resource could not be found.")
    response["Cache-Control"] = "private, no-store"
    # As below: they are counted, and told of once a minute (see `guessing`).
    response.unlogged = True  # type: ignore[attr-defined]
    return _guarded(response)


def too_many() -> HttpResponse:
    """To whom has guessed too often."""
    response = error_document(
        429, "rate_limit_exceeded", "Too Many Requests", "Too many addresses of feeds that do not exist; try later."
    )
    response["Retry-After"] = str(guessing.WINDOW_SECONDS)
    response["Cache-Control"] = "private, no-store"
    # A line for each would be the guesser's way to fill the disk.
    response.unlogged = True  # type: ignore[attr-defined]
    return _guarded(response)


def unavailable(error: Exception) -> HttpResponse:
    """To every reader while the database cannot be asked: nobody is told that their feed is gone, nor that what they
    have is still true.
    """
    # A line each, for thousands ask, and without a traceback.
    log.error("database_unavailable", error=type(error).__name__)
    response = error_document(
        503, "service_unavailable", "Service Unavailable", "The feed cannot be read just now; try again shortly."
    )
    response["Retry-After"] = str(_RETRY_AFTER_SECONDS)
    response["Cache-Control"] = "private, no-store"
    response.unlogged = True  # type: ignore[attr-defined]
    return _guarded(response)


def _guarded(response: Response) -> Response:
    headers = response.headers
    for name, value in GUARDS.items():
        headers[name] = value
    return response
