"""Logs that can be followed and leak nothing: one line per request, named by route, with its X-Request-ID."""

import logging
import re
import time
import uuid
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog
from celery.signals import before_task_publish, task_postrun, task_prerun
from django.http import HttpRequest, HttpResponse

REQUEST_ID_HEADER = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# A feed's token stands in its path; nothing that is logged may show it, nor what callers authenticate with.
_SECRETS = (
    (re.compile(r"(/calendars/[^/\s]+/ics/)[^/\s?\"']+"), r"\1[redacted]"),
    # So does the link of a page.
    (re.compile(r"(/(?:connect|subscribe)/)[^/\s?\"']+"), r"\1[redacted]"),
    (re.compile(r"(?i)(bearer|basic)\s+[A-Za-z0-9._~+/=-]+"), r"\1 [redacted]"),
    (re.compile(r"pk_live_[A-Za-z0-9_]+"), "[redacted]"),
    (re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), "[redacted]"),
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1[redacted]@"),
    # PostgreSQL shows the row that it refused: titles, names, whatever it holds.
    (re.compile(r"(?m)^(DETAIL|CONTEXT):.*$"), r"\1: [redacted]"),
)

# No text without one of these holds a secret; almost none has one, and looking is much faster than replacing.
_SUSPICIOUS = ("/ics/", "/connect/", "/subscribe/", "pk_live_", "eyJ", "://", "DETAIL:", "CONTEXT:")

log = structlog.get_logger("request")


def redacted(text: str) -> str:
    """`text` without feed tokens, bearer tokens, API keys, JWTs, passwords in URLs and refused rows."""
    lower = text.lower()
    if not ("bearer" in lower or "basic" in lower or any(mark in text for mark in _SUSPICIOUS)):
        return text
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """structlog processor: redact whatever the event holds, at any depth."""
    # Names that begin with an underscore are structlog's own and never written.
    return {key: value if key.startswith("_") else _clean(value) for key, value in event.items()}


def _clean(value: Any) -> Any:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return redacted(value)
        case dict():
            return {redacted(str(key)): _clean(inner) for key, inner in value.items()}
        case list() | tuple() | set():
            return [_clean(inner) for inner in value]
    # An object would be written as its repr: a request's names its path.
    return redacted(repr(value))


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
            # Without the extras of foreign records: nobody reads them, and Django hangs the request there.
            foreign_pre_chain=shared,
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

    The line names the route's pattern, never the path: paths hold feed tokens. An answer that says that it is
    `unlogged` has none: what comes by the thousand and tells nothing must not fill the log.
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
            if getattr(response, "unlogged", False):
                return response
            match = request.resolver_match
            log.info(
                "request_answered",
                method=request.method,
                route=match.route if match else "(none)",
                status=response.status_code,
                milliseconds=round((time.monotonic() - started) * 1000, 1),
            )
        return response


@before_task_publish.connect
def _send_request_id(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """A task remembers the request that rang for it."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if headers is not None and request_id:
        headers["request_id"] = request_id


@task_prerun.connect
def _adopt_request_id(task_id: str = "", task: Any = None, **_: Any) -> None:
    # A task that runs inside the request (no broker) has the request's context already.
    if task is not None and not task.request.is_eager:
        structlog.contextvars.bind_contextvars(
            request_id=task.request.get("request_id"), task=task.name, task_id=task_id
        )


@task_postrun.connect
def _forget_request_id(task: Any = None, **_: Any) -> None:
    if task is not None and not task.request.is_eager:
        structlog.contextvars.unbind_contextvars("request_id", "task", "task_id")
