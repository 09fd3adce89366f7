"""`/users/:user_unique_id/busy_blocks` and `/users/:user_unique_id/free_busy`"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from busyblocks import filters, freebusy, services
from busyblocks.errors import BudgetExceeded, SpanTooWide
from busyblocks.freebusy import Period
from busyblocks.models import BusyBlock, BusyBlockQuerySet
from busyblocks.serializers import BusyBlockSerializer, FreeBusySerializer
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


@dataclass(frozen=True, slots=True)
class FreeBusy:
    """The answer to one question. `pk`: what the JSON:API renderer takes for the resource's id."""

    pk: str
    user_unique_id: str
    start_time: datetime
    end_time: datetime
    time_zone: str
    periods: list[Period]


class FreeBusyViewSet(TenantViewSet):
    """When the user is taken. Somebody of whom nothing is known is free."""

    queryset = BusyBlock.objects.all()
    serializer_class = FreeBusySerializer
    resource_name = "free_busy"

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        query = request.query_params
        asked = filters.zone_asked(query)
        missing = {name: "This parameter is required." for name in ("start_time", "end_time") if not query.get(name)}
        if missing:
            raise ValidationError(missing)
        span = filters.span_asked(query)
        assert span is not None
        user = self.user_to_read()
        try:
            freebusy.check_width(span)
            found = freebusy.periods(user, span.start, span.end, query.get("time_zone", "")) if user else []
        except (SpanTooWide, BudgetExceeded) as error:
            raise ValidationError({"end_time": str(error)}) from None
        name = self.kwargs["user_unique_id"]
        zone_name = str(asked) if asked else (user.time_zone if user else "") or "UTC"
        return Response(self.get_serializer(FreeBusy(name, name, span.start, span.end, zone_name, found)).data)
