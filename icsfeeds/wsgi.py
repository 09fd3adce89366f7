"""Feeds that are as they were, answered before Django's request is made: most of what a calendar server hears.

A 304 is one query and ten headers, and a body that stands prepared in memory is one query more than its bytes;
Django's request, response and signals would cost more than all of it. Whoever guesses is refused here too, for less
than a reader costs. Everything else, and whatever is in any way unusual, goes the common way, where `views.feed` says
the same.
"""

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from secrets import token_hex
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from icsfeeds import accesses, guessing, lookup, publication
from icsfeeds.errors import NoSuchFeed
from icsfeeds.urls import FEED
from icsfeeds.views import CONTENT_TYPE, DISPOSITION, FOUND, GUARDS, not_found, takes_gzip, too_many
from tenancy.clients import address_of

_PATH = re.compile(FEED)
_GUARDS = list(GUARDS.items())
# Django's own, which SecurityMiddleware adds to every answer.
_OPENER = ("Cross-Origin-Opener-Policy", "same-origin")

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class FeedsFirst:
    """A WSGI application before `application`."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith("/calendars/"):
            answer = _answer(environ)
            if answer is not None:
                status, headers, body = answer
                start_response(status, headers)
                return body
        return self.application(environ, start_response)


# A list, which servers send as a whole: whatever else is iterable, granian sends in chunks.
Answer = tuple[str, list[tuple[str, str]], list[bytes]]


def _answer(environ: Environ) -> Answer | None:
    """A 304, a feed that is prepared, or a refusal; None where anything else is to be answered."""
    path, method = environ["PATH_INFO"], environ.get("REQUEST_METHOD")
    match = _PATH.match(path[1:])
    if match is None or method not in {"GET", "HEAD"}:
        return None
    if not path.isascii() or path.endswith(("/", lookup.FREE_BUSY_SUFFIX)) or "\0" in path:
        return None
    secure = _is_secure(environ)
    if settings.SECURE_SSL_REDIRECT and not secure:
        return None
    request_id = environ.get("HTTP_X_REQUEST_ID") or token_hex(16)
    plain = len(request_id) <= 128 and request_id.isascii() and request_id.replace("-", "").isalnum()
    if environ.get("QUERY_STRING") or not plain or not _serves(environ.get("HTTP_HOST", "")):
        return None
    always = [*_GUARDS, _OPENER, ("X-Request-ID", request_id)]
    if secure and settings.SECURE_HSTS_SECONDS:
        always.append(("Strict-Transport-Security", _hsts()))
    now = datetime.now(UTC)
    digest, address = lookup.digest_of(match["token"]), address_of(environ)
    if guessing.is_refused(address, digest, now=now.timestamp()):
        return _refusal(429, always)
    try:
        found = lookup.find(match["company_url_id"], digest, now=now)
    except NoSuchFeed:
        guessing.missed(address, now=now.timestamp())
        return _refusal(404, always)
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
    found = {}
    for response in (not_found(), too_many()):
        headers = [(name, value) for name, value in response.items() if name not in GUARDS]
        found[response.status_code] = (f"{response.status_code} {response.reason_phrase}", headers, [response.content])
    return found


def _is_secure(environ: Environ) -> bool:
    """As `HttpRequest.is_secure`."""
    if settings.SECURE_PROXY_SSL_HEADER:
        name, value = settings.SECURE_PROXY_SSL_HEADER
        if name in environ:
            return str(environ[name]).partition(",")[0].strip() == value
    return environ.get("wsgi.url_scheme") == "https"


def _hsts() -> str:
    parts = [f"max-age={settings.SECURE_HSTS_SECONDS}"]
    parts += ["includeSubDomains"] if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS else []
    return "; ".join(parts + (["preload"] if settings.SECURE_HSTS_PRELOAD else []))


@lru_cache(maxsize=64)
def _serves(host: str) -> bool:
    """Whether the service answers under this name, as Django would find."""
    domain, _ = split_domain_port(host)
    return bool(domain) and not settings.DEBUG and validate_host(domain, settings.ALLOWED_HOSTS)
