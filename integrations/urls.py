"""Paths of this app."""

from django.urls import URLPattern, URLResolver, path

from integrations import push
from integrations.oauth import views as oauth
from integrations.views import calcom_webhook

urlpatterns: list[URLPattern | URLResolver] = [
    path("oauth/<str:provider>/start", oauth.start),
    path("oauth/<str:provider>/callback", oauth.callback),
    path("push/google", push.google),
    path("push/outlook", push.outlook),
    path("calcom/<str:url_id>/webhook", calcom_webhook),
]
