"""Logs that can be followed and leak nothing: one line per request, named by route, with its X-Request-ID."""

import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import structlog
from django.http import HttpRequest, HttpResponse

REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# A feed's token stands in its path; nothing that is logged may show it, nor what callers authenticate with.
_SECRETS = (
    (re.compile(r"(/calendars/[^/\s]+/ics/)[^/\s?\"']+"), r"\1[redacted]"),
    (re.compile(r"(?i)(bearer|basic)\s+[A-Za-z0-9._~+/=-]+"), r"\1 [redacted]"),
    (re.compile(r"pk_live_[A-Za-z0-9_]+"), "[redacted]"),
    (re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), "[redacted]"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1[redacted]@"),
)

log = structlog.get_logger("request")


def redacted(text: str) -> str:
    """`text` without feed tokens, bearer tokens, API keys, JWTs and passwords in URLs."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def redact_event(_logger: Any, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    """structlog processor: redact every text of the event."""
    return {key: redacted(value) if isinstance(value, str) else value for key, value in event.items()}


def configure_logging(options: dict[str, Any]) -> None:
    """Send structlog's and the standard library's records through the same processors to standard error."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact_event,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer = (
        structlog.processors.JSONRenderer() if options["as_json"] else structlog.dev.ConsoleRenderer(colors=False)
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact_event, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(options["level"])
    # They write addresses and request lines of their own.
    for name in ("httpx", "httpx2", "httpcore", "httpcore2", "django.server", "django.request"):
        logging.getLogger(name).setLevel(logging.ERROR)


class RequestLogMiddleware:
    """Gives each request an id (the caller's, when it is a plain word), and writes one line when it is answered.

    The line names the route's pattern, never the path: paths hold feed tokens.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        started = time.monotonic()
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            response = self.get_response(request)
            response[REQUEST_ID_HEADER] = request_id
            match = request.resolver_match
            log.info(
                "request_answered",
                method=request.method,
                route=match.route if match else "(none)",
                status=response.status_code,
                milliseconds=round((time.monotonic() - started) * 1000, 1),
            )
        return response
