"""Paths of the connect page."""

from django.urls import URLPattern, URLResolver, path

from calendars.pages import views

_ACCOUNT = "connect/<str:link>/accounts/<uuid:account_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("connect/<str:link>", views.overview, name="connect"),
    path("connect/<str:link>/new/<str:provider>", views.connect, name="connect-new"),
    path(_ACCOUNT, views.choose, name="connect-choose"),
    path(f"{_ACCOUNT}/again", views.connect_again, name="connect-again"),
    path(f"{_ACCOUNT}/go", views.go, name="connect-go"),
    path(f"{_ACCOUNT}/disconnect", views.disconnect, name="connect-disconnect"),
]
