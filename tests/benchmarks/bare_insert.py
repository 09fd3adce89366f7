"""Django and nothing else, over the service's database: no middleware, one view that inserts one row."""

import django
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

from config import env

settings.configure(
    SECRET_KEY="only-for-benchmarks",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[],
    INSTALLED_APPS=[],
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    # As the service keeps its connections.
    DATABASES={"default": {**env.database(), "CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True}},
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402  (after the settings)
from django.db import models  # noqa: E402


class BareRow(models.Model):
    """A delivery as it would be kept with no thought: in plain, without an index."""

    body = models.BinaryField()
    signed = models.BooleanField()
    received_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "benchmarks"

    def __str__(self) -> str:
        return f"{self.received_at}"


def insert(request: HttpRequest) -> HttpResponse:
    BareRow.objects.create(body=request.body, signed=True)
    return HttpResponse(b"{}", content_type="application/json")


def live(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"up")


urlpatterns = [path("bare/insert", insert), path("health/live", live)]
application = get_wsgi_application()
