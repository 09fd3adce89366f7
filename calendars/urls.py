"""Paths of this app."""

from typing import Any

from django.urls import URLPattern, URLResolver, path

import tenancy.paths  # noqa: F401  # registers <user:…>
from calendars.viewsets.accounts import CalendarAccountViewSet
from calendars.viewsets.calendars import CalendarViewSet
from calendars.viewsets.connect_links import ConnectLinkViewSet
from calendars.viewsets.meetings import MeetingParticipantViewSet, MeetingViewSet
from calendars.viewsets.syncs import CompanySyncViewSet, SyncRunViewSet, UserSyncViewSet

_USER = "users/<user:user_unique_id>"
_ONE: dict[str, Any] = {"get": "retrieve", "put": "update", "delete": "destroy"}

urlpatterns: list[URLPattern | URLResolver] = [
    path(f"{_USER}/calendar_accounts", CalendarAccountViewSet.as_view({"get": "list", "post": "create"})),
    path(
        f"{_USER}/calendar_accounts/<str:id>",
        CalendarAccountViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"}),
    ),
    path(f"{_USER}/calendar_accounts/<str:account_id>/calendars", CalendarViewSet.as_view({"get": "list"})),
    path(
        f"{_USER}/calendar_accounts/<str:account_id>/calendars/<str:id>",
        CalendarViewSet.as_view({"get": "retrieve", "put": "update"}),
    ),
    path(f"{_USER}/connect_links", ConnectLinkViewSet.as_view({"post": "create"})),
    path(f"{_USER}/calendar/sync", UserSyncViewSet.as_view({"post": "create"})),
    path("calendar/sync", CompanySyncViewSet.as_view({"post": "create"})),
    path("calendar/syncs", SyncRunViewSet.as_view({"get": "list"})),
    path("calendar/syncs/<str:id>", SyncRunViewSet.as_view({"get": "retrieve"})),
    path("meetings", MeetingViewSet.as_view({"get": "list", "post": "create"})),
    path("meetings/trash/show", MeetingViewSet.as_view({"get": "trash"})),
    path("meetings/<str:id>", MeetingViewSet.as_view(_ONE)),
    path("meetings/<str:id>/recover", MeetingViewSet.as_view({"put": "recover"})),
    path(
        "meetings/<str:meeting_id>/participants",
        MeetingParticipantViewSet.as_view({"get": "list", "post": "create"}),
    ),
    path(
        "meetings/<str:meeting_id>/participants/<str:id>",
        MeetingParticipantViewSet.as_view({"get": "retrieve", "delete": "destroy"}),
    ),
    path(f"{_USER}/meetings", MeetingViewSet.as_view({"get": "list", "post": "create"})),
    path(f"{_USER}/meetings/<str:id>", MeetingViewSet.as_view(_ONE)),
]
