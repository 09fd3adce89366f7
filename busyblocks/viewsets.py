"""`/users/:user_unique_id/busy_blocks`"""

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from busyblocks import filters, services
from busyblocks.models import BusyBlock, BusyBlockQuerySet
from busyblocks.serializers import BusyBlockSerializer
from tenancy.viewsets import TenantViewSet


class BusyBlockViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """All that makes the user busy. What was not written here is read-only here.

    `start_time` and `end_time` narrow the list to what shows in that span; dates are read in `time_zone`.
    """

    queryset = BusyBlock.objects.select_related("user")
    serializer_class = BusyBlockSerializer
    resource_name = "busy_block"
    filterable = {"status": filters.status, "source": "source", "all_day": "all_day", "recurring": "recurring"}
    searchable = ("title",)
    sortable = {
        "start_time": "start_time",
        "end_time": "end_time",
        "title": "title",
        "created_at": "created_at",
        "updated_at": "updated_at",
        "starts_at": "start_time",
        "ends_at": "end_time",
    }

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        query = self.request.query_params
        asked, span = filters.zone_asked(query), filters.span_asked(query)
        rows = super().filter_queryset(queryset)
        assert isinstance(rows, BusyBlockQuerySet)
        rows = rows.without_copies()
        user = self.user_to_read() if span else None
        return filters.in_span(rows, user, span, asked=asked) if span and user else rows

    def create(self, request: Request, **kwargs: Any) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        block = services.create(self.user_to_write(), **body.validated_data, now=timezone.now())
        return Response(self.get_serializer(block).data, status=status.HTTP_201_CREATED)

    def update(self, request: Request, **kwargs: Any) -> Response:
        """What the body leaves out stays as it is."""
        block = self.get_object()
        services.check_editable(block)
        body = self.get_serializer(block, data=request.data)
        body.is_valid(raise_exception=True)
        return Response(self.get_serializer(services.change(block, **body.validated_data, now=timezone.now())).data)

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        services.delete(self.get_object(), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def get_object(self) -> BusyBlock:
        block = super().get_object()
        assert isinstance(block, BusyBlock)
        return block
