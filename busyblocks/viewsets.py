"""`/users/:user_unique_id/busy_blocks`"""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from busyblocks import filters, services, shown
from busyblocks.models import BusyBlock, BusyBlockQuerySet
from busyblocks.serializers import BusyBlockSerializer
from tenancy.viewsets import TenantViewSet

# What `sort` may say of instances.
_BY_TIME = ("", "start_time", "starts_at", "-start_time", "-starts_at")


class BusyBlockViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """All that makes the user busy. What was not written here is read-only here.

    `start_time` and `end_time` narrow the list to what shows in that span; dates are read in `time_zone`. With
    `expand=true` the list holds instances in place of series, by time; both bounds are needed then.
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

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        if not filters.flag(request.query_params, "expand"):
            page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
            assert page is not None
            series = shown.series_ids(page)
        else:
            page, series = shown.shown(self.paginate_queryset(self._places()) or []), {}
        context = {**self.get_serializer_context(), "series": series}
        return self.get_paginated_response(self.get_serializer(page, many=True, context=context).data)

    def _places(self) -> Sequence[shown.Place]:
        """The instances that the query asks for, in its order."""
        query = self.request.query_params
        order = query.get("sort", "")
        if order not in _BY_TIME:
            raise ValidationError({"sort": "Instances are sorted by start_time, or by -start_time."})
        span, asked = filters.span_required(query), filters.zone_asked(query)
        rows = super().filter_queryset(self.get_queryset())
        assert isinstance(rows, BusyBlockQuerySet)
        user = self.user_to_read()
        places = shown.instances_in(rows.without_copies(), user, span, asked=asked) if user else []
        return places[::-1] if order.startswith("-") else places

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        query = self.request.query_params
        asked, span = filters.zone_asked(query), filters.span_asked(query)
        rows = super().filter_queryset(queryset)
        assert isinstance(rows, BusyBlockQuerySet)
        rows = rows.without_copies()
        user = self.user_to_read() if span else None
        return shown.in_span(rows, user, span, asked=asked) if span and user else rows

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
