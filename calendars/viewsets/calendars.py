"""`/users/:user_unique_id/calendar_accounts/:account_id/calendars`"""

from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Count, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from busyblocks.models import BusyBlock
from calendars.models import Calendar, CalendarAccount, WithheldEvent
from calendars.serializers.calendar import CalendarSerializer
from calendars.services import accounts
from tenancy.errors import NotFound
from tenancy.viewsets import TenantViewSet

# How many withheld events and held deletions a calendar shows.
_SHOWN = 20


def _count(rows: QuerySet[Any], by: str) -> Coalesce:
    """How many of `rows` there are for a calendar, counted by their own index."""
    return Coalesce(Subquery(rows.order_by().values(by).annotate(total=Count("pk")).values("total")), 0)


class CalendarViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """The remote calendars that the last visit found; each can be left out."""

    queryset = Calendar.objects.all()
    serializer_class = CalendarSerializer
    resource_name = "calendar"
    company_lookup = "account__company"
    user_lookup = "account__user"
    filterable = {"sync_enabled": "sync_enabled"}
    searchable = ("name",)
    sortable = {name: name for name in ("name", "created_at", "last_synced_at", "primary")}

    def get_queryset(self) -> QuerySet[Calendar]:
        rows: QuerySet[Calendar] = super().get_queryset().filter(account__unique_id=self._account().unique_id)
        withheld = WithheldEvent.objects.order_by("pk")
        held = BusyBlock.objects.filter(absent_since__isnull=False).order_by("start_time", "pk")
        return (
            rows.select_related("account", "origin")
            .defer("account__credentials", "account__provider_state", "cursor")
            .annotate(
                events_count=_count(BusyBlock.objects.filter(origin=OuterRef("origin"), recurrence_id=""), "origin"),
                withheld_count=_count(WithheldEvent.objects.filter(calendar=OuterRef("pk")), "calendar"),
            )
            .prefetch_related(
                Prefetch("withheld", withheld[:_SHOWN], to_attr="withheld_shown"),
                Prefetch(
                    "origin__rows",
                    held.only("origin", "external_event_id", "title", "start_time")[:_SHOWN],
                    to_attr="held_shown",
                ),
            )
        )

    def update(self, request: Request, **kwargs: Any) -> Response:
        calendar = self.get_object()
        body = self.get_serializer(calendar, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        match body.validated_data.get("sync_enabled"):
            case True:
                accounts.take_in(calendar, now=timezone.now())
            case False:
                accounts.leave_out(calendar, now=timezone.now())
        return Response(self.get_serializer(self.get_object()).data)

    def _account(self) -> CalendarAccount:
        """The account that the path names, or `NotFound` that speaks of the account."""
        found = CalendarAccount.objects.filter(
            company=self.company, user__unique_id=self.kwargs["user_unique_id"]
        ).only("unique_id")
        try:
            account = found.filter(unique_id=self.kwargs["account_id"]).first()
        except (ValidationError, ValueError):
            account = None
        if account is None:
            raise NotFound("calendar_account")
        return account
