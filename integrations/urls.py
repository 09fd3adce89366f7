"""Paths of this app."""

from django.urls import URLPattern, URLResolver, path

from integrations.oauth import views as oauth
from integrations.views import calcom_webhook

urlpatterns: list[URLPattern | URLResolver] = [
    path("oauth/<str:provider>/start", oauth.start),
    path("oauth/<str:provider>/callback", oauth.callback),
    path("calcom/<str:url_id>/webhook", calcom_webhook),
]
