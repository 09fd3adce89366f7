"""What holds for every path of the API before a view is found, and after whatever answered."""

import json
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse

from config.jsonapi.exceptions import document, of_status


class DocumentsOnly:
    """API paths take one trailing slash or none, and every failure is a JSON document.

    Django's own error pages (no such path, host or method; an exception in a middleware; DEBUG's stack trace) are HTML
    or empty: they are replaced here, keeping status and headers. Paths under HTML_PATHS are left alone.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if is_page(request.path_info):
            return self.get_response(request)
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        if request.path_info.endswith("/") and request.path_info != "/":
            request.path_info = request.path_info[:-1]
            request.path = request.path[:-1]
        response = self.get_response(request)
        if response.status_code >= 400 and isinstance(response, HttpResponse) and not _is_json(response):
            response.content = json.dumps({"errors": [of_status(response.status_code)]})
            response["Content-Type"] = "application/json"
            if "Content-Length" in response:
                response["Content-Length"] = str(len(response.content))
        return response


def is_page(path: str) -> bool:
    """Whether people read `path` in a browser, so that HTML is the right answer there."""
    return any(path == prefix or path.startswith(f"{prefix}/") for prefix in settings.HTML_PATHS)


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """The answer to what no view should see: text that PostgreSQL cannot hold, a body of unknown length."""
    if "\0" in request.path_info:
        return _one(of_status(404))
    query = request.META.get("QUERY_STRING", "")
    if "\0" in query or "%00" in query:
        return _one(document(400, "bad_request", "Bad Request", "The query must not hold NUL characters (%00)."))
    # WSGI tells no length for a chunked body, and Django would read it as empty.
    if request.headers.get("Transfer-Encoding") and not request.headers.get("Content-Length"):
        return _one(document(411, "length_required", "Length Required", "Send the body with a Content-Length."))
    return None


def _one(error: dict[str, object]) -> HttpResponse:
    return JsonResponse({"errors": [error]}, status=int(str(error["status"])))


def _is_json(response: HttpResponse) -> bool:
    media_type = response.get("Content-Type", "").partition(";")[0].strip()
    return media_type.endswith(("/json", "+json"))
