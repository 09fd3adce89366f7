"""The service's own paths, and a bare view of constant bytes as the yardstick."""

import os
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.urls import path

from config.urls import handler500
from config.urls import urlpatterns as own

__all__ = ["handler500", "urlpatterns"]


def bare(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(Path(os.environ["BENCH_CONSTANT"]).read_bytes(), content_type="application/json")


urlpatterns = [path("bare", bare), *own]
