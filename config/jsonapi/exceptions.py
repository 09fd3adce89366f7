"""The one place where exceptions become statuses and error documents."""

from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, OperationalError
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response
from rest_framework.views import set_rollback

from calendars.providers import BadProviderData
from config.jsonapi.errors import BodyTooLarge
from tenancy.errors import Forbidden, NotAuthenticated

log = structlog.get_logger("api")



def document(status_code: int, code: str, title: str, detail: str, **source: str) -> dict[str, Any]:
    """One error object in the documented form; `source` may hold a pointer or a parameter."""
    error: dict[str, Any] = {"status": str(status_code), "code": code, "title": title, "detail": detail}
    if source:
        error["source"] = source
    return error


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
        case Http404() | exceptions.NotFound():
            return _one(not_found(getattr(view, "resource_name", None) or "resource"))
        case exceptions.ValidationError():
            reading = getattr(context.get("request"), "method", "") in {"GET", "HEAD"}
            return Response({"errors": _fields(error.detail, in_query=reading)}, status=422)
        case BadProviderData():
            where = f"provider_data.{error.field}" if error.field else "provider_data"
            pointer = "/data/attributes/" + where.replace(".", "/")
            return _one(
                document(422, "validation_error", "Validation Error", f"{where}: {error.reason}", pointer=pointer)
            )
        case NotAuthenticated() | exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            response = _one(document(401, "unauthorized", "Unauthorized", str(error)))
            response["WWW-Authenticate"] = 'Bearer realm="calendar"'
            return response
        case Forbidden() | PermissionDenied() | exceptions.PermissionDenied():
            return _one(document(403, "forbidden", "Forbidden", str(error) or "This is not allowed."))
        case BodyTooLarge():
            return _one(document(413, "content_too_large", "Content Too Large", str(error)))
        case exceptions.APIException():
            return _of_drf(error)
        case OperationalError():
            log.error("database_unavailable", exc_info=error)
            response = _one(
                document(503, "service_unavailable", "Service Unavailable", "The database cannot be used just now.")
            )
            response["Retry-After"] = "5"
            return response
        case DatabaseError():
            log.error("database_error", exc_info=error)
        case _:
            log.error("unhandled_error", exc_info=error)
    return _one(
        document(500, "internal_error", "Internal Server Error", "Something went wrong here; it has been logged.")
    )


def _of_drf(error: exceptions.APIException) -> Response:
    titles = {400: "Bad Request", 405: "Method Not Allowed", 406: "Not Acceptable", 415: "Unsupported Media Type"}
    codes = {400: "bad_request", 406: "not_acceptable", 415: "unsupported_media_type", 429: "rate_limit_exceeded"}
    code = error.status_code
    title = titles.get(code, "Too Many Requests" if code == status.HTTP_429_TOO_MANY_REQUESTS else "Error")
    response = _one(document(code, codes.get(code, error.default_code), title, str(error.detail)))
    if (wait := getattr(error, "wait", None)) is not None:
        response["Retry-After"] = str(int(wait) + 1)
    return response


def _fields(detail: Any, *, in_query: bool, path: str = "") -> list[dict[str, Any]]:
    """Flatten DRF's nested field errors; each points at its attribute or query parameter."""
    if isinstance(detail, dict):
        return [
            item
            for name, inner in detail.items()
            for item in _fields(
                inner, in_query=in_query, path=path if name == "non_field_errors" else f"{path}/{name}"
            )
        ]
    if isinstance(detail, list):
        found = []
        for number, inner in enumerate(detail):
            deeper = f"{path}/{number}" if isinstance(inner, dict | list) else path
            found.extend(_fields(inner, in_query=in_query, path=deeper) if inner else [])
        return found
    name = path.strip("/")
    if in_query and name:
        source = {"parameter": name}
    else:
        source = {"pointer": f"/data/attributes{path}" if path else "/data"}
    label = name.replace("/", ".")
    text = f"{label}: {detail}" if label else str(detail)
    return [document(422, "validation_error", "Validation Error", text, **source)]


def _one(error: dict[str, Any]) -> Response:
    return Response({"errors": [error]}, status=int(error["status"]))
