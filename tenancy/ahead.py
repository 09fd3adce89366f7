"""Answers ahead of Django: what is asked thousands of times a second, said before Django's request is made.

Each has a common way, a Django view that says the same; whatever is in any way unusual goes there.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from secrets import token_hex
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
# Status line, headers, body. A list, which servers send as a whole: whatever else is iterable, granian sends in chunks.
Answer = tuple[str, list[tuple[str, str]], list[bytes]]

# Django's own, which SecurityMiddleware adds to every answer.
_OPENER = ("Cross-Origin-Opener-Policy", "same-origin")


class Ahead:
    """A WSGI application before `application`: what begins with `prefix` is `answer`'s, unless that says None."""

    def __init__(self, prefix: str, answer: Callable[[Environ], Answer | None], application: Application) -> None:
        self.prefix, self.answer, self.application = prefix, answer, application

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith(self.prefix):
            answer = self.answer(environ)
            if answer is not None:
                status, headers, body = answer
                start_response(status, headers)
                return body
        return self.application(environ, start_response)


def common_headers(environ: Environ) -> list[tuple[str, str]] | None:
    """Those that every answer has; None where the request is unusual: a query, another host, plain HTTP, an odd id."""
    secure = _is_secure(environ)
    if settings.SECURE_SSL_REDIRECT and not secure:
        return None
    request_id = environ.get("HTTP_X_REQUEST_ID") or token_hex(16)
    plain = len(request_id) <= 128 and request_id.isascii() and request_id.replace("-", "").isalnum()
    if environ.get("QUERY_STRING") or not plain or not _serves(environ.get("HTTP_HOST", "")):
        return None
    found = [_OPENER, ("X-Request-ID", request_id)]
    if secure and settings.SECURE_HSTS_SECONDS:
        found.append(("Strict-Transport-Security", _hsts()))
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
