"""Feeds that are as they were, answered before Django's request is made: most of what a calendar server hears.

A 304 is one query and ten headers, and a body that stands prepared in memory is one query more than its bytes;
Django's request, response and signals would cost more than all of it. Whoever guesses is refused here too, for less
than a reader costs. Everything else, and whatever is in any way unusual, goes the common way, where `views.feed` says
the same.
"""

import re
from datetime import UTC, datetime
from functools import lru_cache, partial

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse

from icsfeeds import accesses, guessing, lookup, publication
from icsfeeds.errors import NoSuchFeed
from icsfeeds.urls import FEED
from icsfeeds.views import CONTENT_TYPE, DISPOSITION, FOUND, GUARDS, not_found, takes_gzip, too_many, unavailable
from tenancy.ahead import Ahead, Answer, Environ, common_headers
from tenancy.clients import address_of

_PATH = re.compile(FEED)
_GUARDS = list(GUARDS.items())


def _answer(environ: Environ) -> Answer | None:
    """A 304, a feed that is prepared, or a refusal; None where anything else is to be answered."""
    path, method = environ["PATH_INFO"], environ.get("REQUEST_METHOD")
    match = _PATH.match(path[1:])
    if match is None or method not in {"GET", "HEAD"}:
        return None
    if not path.isascii() or path.endswith(("/", lookup.FREE_BUSY_SUFFIX)) or "\0" in path:
        return None
    common = common_headers(environ)
    if common is None:
        return None
    always = [*_GUARDS, *common]
    now = datetime.now(UTC)
    digest, address = lookup.digest_of(match["token"]), address_of(environ)
    if guessing.is_refused(address, digest, now=now.timestamp()):
        return _refusal(429, always)
    try:
        found = lookup.find(match["company_url_id"], digest, now=now)
    except NoSuchFeed:
        guessing.missed(address, now=now.timestamp())
        return _refusal(404, always)
    except (OperationalError, InterfaceError) as error:
        return _worded(unavailable(error), always)
    # The common way need not look again.
    environ[FOUND] = found
    version = publication.version_of(found, now=now)
    if version is None:
        return None
    gzipped = takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
    body = b""
    known = version.is_known_to(environ.get("HTTP_IF_NONE_MATCH"), environ.get("HTTP_IF_MODIFIED_SINCE"))
    if not known and method == "GET":
        prepared = publication.prepared(found, version)
        whole = prepared.whole(gzipped=gzipped) if prepared else None
        if whole is None:
            return None
        body = whole
    headers = [
        ("Content-Type", CONTENT_TYPE),
        ("ETag", version.etag(gzipped=gzipped)),
        ("Cache-Control", f"private, max-age={settings.FEED_MAX_AGE_SECONDS}"),
        ("Vary", "Accept-Encoding"),
        ("Content-Disposition", DISPOSITION),
        *always,
    ]
    if modified := version.last_modified(now):
        headers.append(("Last-Modified", modified))
    if gzipped and not known:
        headers.append(("Content-Encoding", "gzip"))
    if body:
        headers.append(("Content-Length", str(len(body))))
    accesses.note(found.pk, agent=environ.get("HTTP_USER_AGENT", ""), now=now)
    guessing.was_right(digest)
    return ("304 Not Modified" if known else "200 OK"), headers, [body]


def _refusal(status: int, always: list[tuple[str, str]]) -> Answer:
    line, headers, body = _refusals()[status]
    return line, headers + always, body


@lru_cache(maxsize=1)
def _refusals() -> dict[int, Answer]:
    """By status, as the common way words them; made once, because guessers ask without end."""
    return {response.status_code: _worded(response, []) for response in (not_found(), too_many())}


def _worded(response: HttpResponse, always: list[tuple[str, str]]) -> Answer:
    """What the common way would send; always: the headers that stand in every answer."""
    headers = [(name, value) for name, value in response.items() if name not in GUARDS]
    return f"{response.status_code} {response.reason_phrase}", headers + always, [response.content]


# A WSGI application before another one.
FeedsFirst = partial(Ahead, "/calendars/", _answer)
