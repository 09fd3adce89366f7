"""What every page tells the browser: to load nothing from elsewhere, to run no script that stands in the page."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from config.jsonapi.middleware import is_page

_COMMON = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    # Unfold, Swagger and its own arrows are images that stand in their style.
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
# Why these are as they are: docs/adr/0070.
_ADMIN = _COMMON | {"script-src": "'self' 'unsafe-eval'", "style-src": "'self'", "style-src-attr": "'unsafe-inline'"}


def _written(policy: dict[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in policy.items())


PAGES, ADMIN = _written(_COMMON), _written(_ADMIN)
_HEADERS = {
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_ADMIN_PATH = "/admin/"


class PageHeaders:
    """Adds them to whatever people read in a browser; a view's own header of the same name stands."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if is_page(request.path_info) or response.get("Content-Type", "").startswith("text/html"):
            policy = ADMIN if request.path_info.startswith(_ADMIN_PATH) else PAGES
            response.headers.setdefault("Content-Security-Policy", policy)
            for name, value in _HEADERS.items():
                response.headers.setdefault(name, value)
        return response
