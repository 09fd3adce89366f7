"""`/calendars/:company_url_id/ics/:token`: the public feed. Whoever knows the address may read it."""

import gzip
import re

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from icsfeeds import accesses, publication
from icsfeeds.errors import NoSuchFeed
from icsfeeds.version import Version, version_of
from tenancy.documents import error_document

CONTENT_TYPE = "text/calendar; charset=utf-8"
# Most of the gain at a third of the default level's time: calendars repeat themselves.
_GZIP_LEVEL = 4
_REFUSES_GZIP = re.compile(r"q\s*=\s*0(?:\.0{0,3})?\s*\Z")


@csrf_exempt
def feed(request: HttpRequest, company_url_id: str, token: str) -> HttpResponseBase:
    """The calendar, or 304 where the reader has it already: then one query, and nothing is rendered."""
    if request.method not in {"GET", "HEAD"}:
        return _not_allowed()
    now = timezone.now()
    try:
        found = publication.find(company_url_id, token, now=now)
        # The row is written anew below, at most once a minute.
        last_accessed_at = found.last_accessed_at
        version: Version | None = version_of(found, now=now)
        gzipped = takes_gzip(request.headers.get("Accept-Encoding", ""))
        conditions = (request.headers.get("If-None-Match"), request.headers.get("If-Modified-Since"))
        if version is not None and version.is_known_to(*conditions):
            # Streaming for the same reason; and the type because caches take over what a 304 says (RFC 9111 §3.2).
            response: HttpResponseBase = StreamingHttpResponse((), status=304, content_type=CONTENT_TYPE)
        elif request.method == "HEAD":
            # Streaming, so that nobody counts its length: GET's length is known only after rendering.
            response = StreamingHttpResponse((), content_type=CONTENT_TYPE)
        else:
            edition = publication.read(found, now=now)
            version = edition.version
            content = b"".join(publication.body(found, edition, now=now))
            if gzipped:
                content = gzip.compress(content, _GZIP_LEVEL, mtime=0)
            response = HttpResponse(content, content_type=CONTENT_TYPE)
    except NoSuchFeed:
        return _not_found()
    if gzipped and response.status_code != 304:
        response["Content-Encoding"] = "gzip"
    if version is not None:
        response["ETag"] = version.etag(gzipped=gzipped)
        response["Last-Modified"] = version.last_modified(now)
    response["Cache-Control"] = f"private, max-age={settings.FEED_MAX_AGE_SECONDS}"
    response["Vary"] = "Accept-Encoding"
    # Without a name, browsers would save it under its token.
    response["Content-Disposition"] = 'inline; filename="calendar.ics"'
    accesses.record(found.pk, last_accessed_at=last_accessed_at, now=now)
    return _guarded(response)


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


def _not_found() -> HttpResponseBase:
    """One answer for every reason, in the words of any path that leads nowhere."""
    response = error_document(404, "not_found", "Resource Not Found", "The requested resource could not be found.")
    response["Cache-Control"] = "private, no-store"
    return _guarded(response)


def _guarded(response: HttpResponseBase) -> HttpResponseBase:
    """The address is a secret: search engines, referrers and content sniffers have no business with it."""
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    return response
