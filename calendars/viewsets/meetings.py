"""`/users/:user_unique_id/meetings`"""

from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response

from calendars.models import Meeting
from calendars.serializers.meeting import MeetingSerializer
from tenancy.viewsets import TenantViewSet


class MeetingViewSet(TenantViewSet):
    """A user's meetings; `start_time` and `end_time` narrow the list to those that overlap the span."""

    queryset = Meeting.objects.select_related("user").prefetch_related("participants")
    serializer_class = MeetingSerializer
    resource_name = "meeting"
    filterable = {"status": "status"}
    searchable = ("title", "description", "location")
    sortable = {name: name for name in ("start_time", "end_time", "created_at", "updated_at", "title", "status")}

    def get_queryset(self) -> QuerySet[Meeting]:
        return super().get_queryset()

    def list(self, request: Request, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return Response(self.get_serializer(self.get_object()).data)
