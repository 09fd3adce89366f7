"""The service's own paths, and a bare view of constant bytes as the yardstick."""

import os
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from config.urls import handler500
from config.urls import urlpatterns as own
from integrations.models import WebhookDelivery

__all__ = ["handler500", "urlpatterns"]


def bare(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(Path(os.environ["BENCH_CONSTANT"]).read_bytes(), content_type="application/json")


@csrf_exempt
def bare_insert(request: HttpRequest) -> HttpResponse:
    """One row with the body in it, and nothing else."""
    WebhookDelivery.objects.create(company_id=int(os.environ["BENCH_COMPANY"]), body=request.body, signed=True)
    return HttpResponse(b"{}", content_type="application/json")


urlpatterns = [path("bare", bare), path("bare/insert", bare_insert), *own]
