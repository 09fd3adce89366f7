"""The answer when even the middleware failed."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import server_error as html_server_error

from config.jsonapi.exceptions import of_status
from config.jsonapi.middleware import is_page


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: a document on API paths, a page where people read pages."""
    if is_page(request.path_info):
        return html_server_error(request)
    return JsonResponse({"errors": [of_status(500)]}, status=500)
