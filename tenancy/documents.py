"""Error documents of plain Django views: the same form that the API's own errors have."""

from django.http import JsonResponse


def error_document(status: int, code: str, title: str, detail: str) -> JsonResponse:
    """A response with one error object, for example 404, "not_found", "Feed Not Found", a sentence."""
    error = {"status": str(status), "code": code, "title": title, "detail": detail}
    return JsonResponse({"errors": [error]}, status=status)
