"""Paths of this app."""

from django.urls import URLPattern, URLResolver, path

import tenancy.paths  # noqa: F401  # registers <user:…>
from busyblocks.freetime_viewsets import (
    AvailabilityViewSet,
    FreeBusyOfManyViewSet,
    FreeBusyTextViewSet,
    FreeBusyViewSet,
    WorkingHoursViewSet,
)
from busyblocks.viewsets import BusyBlockViewSet

_USER = "users/<user:user_unique_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path(f"{_USER}/busy_blocks", BusyBlockViewSet.as_view({"get": "list", "post": "create"})),
    path(
        f"{_USER}/busy_blocks/<str:id>",
        BusyBlockViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
    ),
    path(f"{_USER}/busy_blocks/<str:id>/restore", BusyBlockViewSet.as_view({"post": "restore"})),
    path(f"{_USER}/free_busy", FreeBusyViewSet.as_view({"get": "retrieve"})),
    path(f"{_USER}/free_busy.ifb", FreeBusyTextViewSet.as_view({"get": "retrieve"})),
    path(
        f"{_USER}/working_hours",
        WorkingHoursViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
    ),
    path("free_busy", FreeBusyOfManyViewSet.as_view({"post": "ask"})),
    path("availability", AvailabilityViewSet.as_view({"post": "ask"})),
]
