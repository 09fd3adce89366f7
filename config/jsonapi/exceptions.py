"""The one place where exceptions become statuses and error documents."""

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import Error as AnyDatabaseError
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from busyblocks.errors import InstanceUnknown, LedgerError, RuleRefused
from calendars.errors import CalendarsError
from calendars.oauth import AuthorizationRefused
from calendars.providers import BadProviderData, ProviderError
from config.jsonapi.errors import BodyTooLarge
from tenancy.errors import Forbidden, KeysUnavailable, NotAuthenticated, NotFound

log = structlog.get_logger("api")

_STATUSES = {
    400: ("bad_request", "Bad Request", "The request could not be read."),
    403: ("forbidden", "Forbidden", "This is not allowed."),
    405: ("method_not_allowed", "Method Not Allowed", "This path does not answer to that method."),
    406: ("not_acceptable", "Not Acceptable", "Answers are application/json or application/vnd.api+json."),
    411: ("length_required", "Length Required", "Send the body with a Content-Length."),
    413: ("content_too_large", "Content Too Large", "The body is longer than the service reads."),
    415: (
        "unsupported_media_type",
        "Unsupported Media Type",
        "Send the body as application/json or application/vnd.api+json.",
    ),
    429: ("rate_limit_exceeded", "Too Many Requests", "Too many requests; wait before the next."),
    500: ("internal_error", "Internal Server Error", "Something went wrong here; it has been logged."),
    503: ("service_unavailable", "Service Unavailable", "The service cannot answer just now; try again shortly."),
}
# PostgreSQL's read_only_sql_transaction: a standby, or a database that was set so.
_READ_ONLY = "25006"


def document(status_code: int, code: str, title: str, detail: str, **source: str) -> dict[str, Any]:
    """One error object in the documented form; `source` may hold a pointer or a parameter."""
    error: dict[str, Any] = {"status": str(status_code), "code": code, "title": title, "detail": detail}
    if source:
        error["source"] = source
    return error


def of_status(status: int) -> dict[str, Any]:
    """The error object of a status of which nothing more is known."""
    if status == 404:
        return not_found("resource")
    code, title, detail = _STATUSES.get(status) or _STATUSES[500 if status >= 500 else 400]
    return document(status, code, title, detail)


def not_found(resource_name: str) -> dict[str, Any]:
    """`calendar_account` → "Calendar Account Not Found", as the API document words it."""
    words = resource_name.replace("_", " ")
    words = words.replace("ics", "ICS")
    title = " ".join(word if word.isupper() else word.capitalize() for word in words.split())
    return document(404, "not_found", f"{title} Not Found", f"The requested {words} could not be found.")


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: every failure of an API view as an error document, never a stack trace."""
    response = _answer(error, context)
    set_rollback()
    return response


def _answer(error: Exception, context: dict[str, Any]) -> Response:
    view = context.get("view")
    match error:
        case NotFound():
            return _one(not_found(error.resource_name))
        case Http404() | exceptions.NotFound():
            return _one(not_found(getattr(view, "resource_name", None) or "resource"))
        case exceptions.ValidationError():
            reading = getattr(context.get("request"), "method", "") in {"GET", "HEAD"}
            return Response({"errors": _fields(error.detail, in_query=reading)}, status=422)
        case CalendarsError():
            pointer = f"/data/attributes/{error.field}" if error.field else "/data"
            return _one(document(422, error.code, "Validation Error", str(error), pointer=pointer))
        case InstanceUnknown():
            return _one(not_found(getattr(view, "resource_name", None) or "resource"))
        case RuleRefused():
            pointer = "/data/attributes/recurrence_rule"
            return _one(document(422, error.code, "Validation Error", str(error), pointer=pointer))
        case LedgerError():
            return _one(document(422, error.code, "Validation Error", str(error)))
        case BadProviderData():
            where = f"provider_data.{error.field}" if error.field else "provider_data"
            pointer = "/data/attributes/" + where.replace(".", "/")
            return _one(
                document(422, "validation_error", "Validation Error", f"{where}: {error.reason}", pointer=pointer)
            )
        case AuthorizationRefused():
            detail = f"code: {error.reason}"
            return _one(document(422, error.code, "Validation Error", detail, pointer="/data/attributes/code"))
        case ProviderError():
            # A vendor that has to be asked while the caller waits, and cannot be.
            return _unavailable(f"{error.reason} {error.advice if not error.retryable else 'Try again shortly.'}")
        case NotAuthenticated() | exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            response = _one(document(401, "unauthorized", "Unauthorized", str(error)))
            response["WWW-Authenticate"] = 'Bearer realm="calendar"'
            return response
        case Forbidden() | PermissionDenied() | exceptions.PermissionDenied():
            return _one(document(403, "forbidden", "Forbidden", str(error) or "This is not allowed."))
        case BodyTooLarge():
            return _one(document(413, "content_too_large", "Content Too Large", str(error)))
        case RequestDataTooBig():
            return _one(of_status(413))
        # Django's word for requests that no honest client sends: a thousand parameters, a hostile Host header.
        case SuspiciousOperation() | UnreadablePostError():
            return _one(of_status(400))
        case exceptions.APIException():
            return _of_drf(error)
        case KeysUnavailable():
            return _unavailable(str(error))
        case OperationalError() | InterfaceError():
            log.error("database_unavailable", exc_info=error)
            return _unavailable("The database cannot be used just now; try again shortly.")
        case AnyDatabaseError() if getattr(error.__cause__, "sqlstate", "") == _READ_ONLY:
            log.error("database_read_only", exc_info=error)
            return _unavailable("The database takes no changes just now; try again shortly.")
    log.error("unhandled_error", exc_info=error)
    return _one(of_status(500))


def _unavailable(detail: str) -> Response:
    response = _one(document(503, "service_unavailable", "Service Unavailable", detail))
    response["Retry-After"] = "5"
    return response


def _of_drf(error: exceptions.APIException) -> Response:
    described = of_status(error.status_code)
    # What DRF says of a medium is less than what the table says.
    if error.status_code not in {406, 415}:
        described["detail"] = str(error.detail)
    response = _one(described)
    wait = getattr(error, "wait", None)
    if wait is not None:
        response["Retry-After"] = str(int(wait) + 1)
    return response


def _fields(detail: Any, *, in_query: bool, path: str = "") -> list[dict[str, Any]]:
    """Flatten DRF's nested field errors; each points at its attribute or query parameter."""
    if isinstance(detail, dict):
        return [
            item
            for name, inner in detail.items()
            for item in _fields(inner, in_query=in_query, path=path if name == "non_field_errors" else f"{path}/{name}")
        ]
    if isinstance(detail, list):
        found = []
        for number, inner in enumerate(detail):
            deeper = f"{path}/{number}" if isinstance(inner, dict | list) else path
            found.extend(_fields(inner, in_query=in_query, path=deeper) if inner else [])
        return found
    name = path.strip("/")
    pointer = f"/data/attributes{path}" if path else "/data"
    source = {"parameter": name} if in_query and name else {"pointer": pointer}
    label = name.replace("/", ".")
    text = f"{label}: {detail}" if label else str(detail)
    return [document(422, "validation_error", "Validation Error", text, **source)]


def _one(error: dict[str, Any]) -> Response:
    return Response({"errors": [error]}, status=int(error["status"]))
