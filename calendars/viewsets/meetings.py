"""`/users/:user_unique_id/meetings`"""

from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin

from busyblocks.filters import span_asked
from calendars.models import Meeting
from calendars.serializers.meeting import MeetingSerializer
from tenancy.viewsets import TenantViewSet


class MeetingViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """A user's meetings; `start_time` and `end_time` narrow the list to those that overlap the span."""

    queryset = Meeting.objects.select_related("user").prefetch_related("participants")
    serializer_class = MeetingSerializer
    resource_name = "meeting"
    filterable = {"status": "status"}
    searchable = ("title", "description", "location")
    sortable = {name: name for name in ("start_time", "end_time", "created_at", "updated_at", "title", "status")}

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Half-open, as all spans: what ends when it starts is outside, a moment without length inside is in."""
        rows = super().filter_queryset(queryset)
        span = span_asked(self.request.query_params)
        if span is None:
            return rows
        inside = Q(end_time__gt=span.start) | Q(start_time__gte=span.start)
        return rows.filter(inside, start_time__lt=span.end)
