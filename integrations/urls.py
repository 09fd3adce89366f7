"""Paths of this app."""

from django.urls import URLPattern, URLResolver, path

from integrations.views import calcom_webhook

urlpatterns: list[URLPattern | URLResolver] = [
    path("calcom/<str:url_id>/webhook", calcom_webhook),
]
