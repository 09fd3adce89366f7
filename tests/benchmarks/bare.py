"""Django and nothing else: no middleware, one view of constant bytes."""

import os
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

settings.configure(
    SECRET_KEY="only-for-benchmarks", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=[], INSTALLED_APPS=[]
)

_BODY = Path(os.environ["BARE_BODY"]).read_bytes()
_STATUS = int(os.environ["BARE_STATUS"])


def bare(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(_BODY, status=_STATUS, content_type="text/calendar; charset=utf-8")


def live(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"up")


urlpatterns = [path("bare", bare), path("health/live", live)]

from django.core.wsgi import get_wsgi_application  # noqa: E402  (after the settings)

application = get_wsgi_application()
