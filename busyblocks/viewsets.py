"""`/users/:user_unique_id/busy_blocks`"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.core import exceptions
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from busyblocks import filters, overrides, series, services, shown
from busyblocks.models import BusyBlock, BusyBlockQuerySet
from busyblocks.serializers import BusyBlockSerializer
from busyblocks.series import Scope
from busyblocks.shown import Shown
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
            names = shown.series_ids(page)
        else:
            page, names = shown.shown(self.paginate_queryset(self._places()) or []), {}
        context = {**self.get_serializer_context(), "series": names}
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

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        block, recurrence_id = self._named(self.kwargs["id"])
        return Response(self.get_serializer(series.instance(block, recurrence_id) if recurrence_id else block).data)

    def update(self, request: Request, **kwargs: Any) -> Response:
        """What the body leaves out stays as it is. Of an instance of a series, `scope` says what else changes.

        `this` (or nothing): the instance alone. `following`: the series ends before it, and the answer is a new one
        that begins with it. `all`: the whole series, times by as much as the instance.
        """
        with transaction.atomic():
            block, recurrence_id = self._locked()
            services.check_editable(block)
            scope = self._scope(self.get_serializer(data=request.data), recurrence_id)
            if not recurrence_id:
                body = self.get_serializer(block, data=request.data)
                body.is_valid(raise_exception=True)
                changed = services.change(block, **body.validated_data, now=timezone.now())
                return Response(self.get_serializer(changed).data)
            change = series.edit(block, recurrence_id, scope)
            context = {**self.get_serializer_context(), "before": change.before}
            body = self.get_serializer(change.series, data=request.data, context=context)
            body.is_valid(raise_exception=True)
            changed = series.apply(change, **body.validated_data, now=timezone.now())
            if change.scope != Scope.THIS:
                return Response(self.get_serializer(changed).data)
            one = Shown(changed, changed.start_time, changed.end_time, recurrence_id, str(block.unique_id))
            return Response(self.get_serializer(one).data)

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """A block, with all its instances. Of an instance, `scope` says what goes: `this`, `following` or `all`."""
        with transaction.atomic():
            block, recurrence_id = self._locked()
            scope = self._scope(self.get_serializer(data=request.query_params.dict()), recurrence_id)
            now = timezone.now()
            match scope:
                case Scope.ALL:
                    services.delete(block, now=now)
                case Scope.FOLLOWING:
                    series.end(block, recurrence_id, now=now)
                case Scope.THIS:
                    series.skip(block, recurrence_id, now=now)
        return Response(status=status.HTTP_204_NO_CONTENT)

    @extend_schema(request=None)
    def restore(self, request: Request, **kwargs: Any) -> Response:
        """An instance as its series has it, whether it was changed or deleted."""
        with transaction.atomic():
            block, recurrence_id = self._locked()
            if not recurrence_id:
                raise Http404
            found = series.restore(block, recurrence_id, now=timezone.now())
            return Response(self.get_serializer(found).data)

    def _scope(self, body: Any, recurrence_id: str) -> Scope:
        """What a request says of its scope; without a word, the instance that it names, or the whole row."""
        given = body.initial_data.get("scope") if isinstance(body.initial_data, Mapping) else None
        if not given:
            return Scope.THIS if recurrence_id else Scope.ALL
        try:
            scope = Scope(body.fields["scope"].run_validation(given))
        except ValidationError as error:
            raise ValidationError({"scope": error.detail}) from None
        if not recurrence_id and scope != Scope.ALL:
            raise ValidationError({"scope": "Name one instance of the series, as the expanded list does."})
        return scope

    def _locked(self) -> tuple[BusyBlock, str]:
        """As `_named`, the row locked until the transaction ends; an override written by hand is an instance too."""
        block, recurrence_id = self._named(self.kwargs["id"], lock=True)
        master = overrides.master_of(block) if not recurrence_id else None
        if master is None:
            return block, recurrence_id
        return self._named(f"{master.unique_id}_{block.recurrence_id}", lock=True)

    def _named(self, name: str, *, lock: bool = False) -> tuple[BusyBlock, str]:
        """The row, and the instance of it, that an id names; Http404."""
        unique_id, _, recurrence_id = name.partition("_")
        rows = self.get_queryset()
        try:
            block = (rows.select_for_update(of=("self",)) if lock else rows).filter(unique_id=unique_id).first()
        except (exceptions.ValidationError, ValueError):
            block = None
        if block is None or (recurrence_id and not block.recurring):
            raise Http404
        assert isinstance(block, BusyBlock)
        return block, recurrence_id
