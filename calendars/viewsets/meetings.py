"""`/users/:user_unique_id/meetings`"""

from datetime import datetime
from typing import Any

from django.db.models import Q, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin

from calendars.models import Meeting
from calendars.serializers.meeting import MeetingSerializer
from tenancy.serializers import UTCDateTimeField
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
        start, end = (self._moment(name) for name in ("start_time", "end_time"))
        if start is not None and end is not None and end <= start:
            raise ValidationError({"end_time": "It must lie after start_time."})
        if start is not None:
            rows = rows.filter(Q(end_time__gt=start) | Q(start_time__gte=start))
        return rows if end is None else rows.filter(start_time__lt=end)

    def _moment(self, name: str) -> datetime | None:
        text = self.request.query_params.get(name, "")
        if not text:
            return None
        try:
            return UTCDateTimeField().to_internal_value(text)
        except ValidationError as error:
            raise ValidationError({name: error.detail}) from None
