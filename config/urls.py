"""Every mount of the service, as a table of contents."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularSwaggerSplitView

from config import health, openapi

urlpatterns = [
    path("health", health.ready),
    path("health/live", health.live),
    path("health/ready", health.ready),
    path("openapi.json", openapi.description, name="openapi"),
    # A page is read; DRF's own answer to OPTIONS has no place in its template.
    path(
        "docs",
        # Its script comes by an address of its own, which the Content-Security-Policy lets pass.
        SpectacularSwaggerSplitView.as_view(url_name="openapi", throttle_classes=[], http_method_names=["get", "head"]),
    ),
    path("admin", RedirectView.as_view(url="/admin/")),
    path("", include("tenancy.oidc")),
    path("admin/", admin.site.urls),
    path("", include("busyblocks.urls")),
    path("", include("calendars.urls")),
    path("", include("calendars.pages.urls")),
    path("", include("icsfeeds.urls")),
    path("", include("integrations.urls")),
    path("", include("calendars.users_urls")),
]

handler500 = "config.jsonapi.fallbacks.server_error"
