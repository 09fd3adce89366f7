"""`/users/:user_unique_id/calendar_accounts`"""

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone
from rest_framework import status
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response

from calendars.models import Calendar, CalendarAccount
from calendars.serializers.account import CalendarAccountSerializer
from calendars.services import accounts
from tenancy.viewsets import TenantViewSet

_HELD = (
    Calendar.objects.filter(account=OuterRef("pk"))
    .order_by()
    .values("account")
    .annotate(total=Sum("held_count"))
    .values("total")
)


class CalendarAccountViewSet(ListModelMixin, RetrieveModelMixin, TenantViewSet):
    """A user's connections to calendar vendors."""

    queryset = CalendarAccount.objects.all()
    serializer_class = CalendarAccountSerializer
    resource_name = "calendar_account"
    filterable = {"provider": "provider", "sync_enabled": "sync_enabled", "status": "status"}
    searchable = ("email", "name")
    sortable = {
        name: name
        for name in (
            "created_at",
            "updated_at",
            "email",
            "name",
            "provider",
            "status",
            "last_synced_at",
            "sync_enabled",
        )
    }

    def get_queryset(self) -> QuerySet[CalendarAccount]:
        """Without the secrets: a list must not decrypt what it does not show."""
        rows: QuerySet[CalendarAccount] = super().get_queryset().select_related("user")
        return rows.defer("credentials", "provider_state").annotate(held_deletions_count=Coalesce(Subquery(_HELD), 0))

    def create(self, request: Request, **kwargs: Any) -> Response:
        """Connect; the same connection again is a reconnect of the same account."""
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        account = accounts.connect(self.user_to_write(), **body.validated_data, now=timezone.now())
        return Response(self._shown(account), status=status.HTTP_201_CREATED)

    def update(self, request: Request, **kwargs: Any) -> Response:
        account = self.get_object()
        body = self.get_serializer(account, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        changes = {name: value for name, value in body.validated_data.items() if name in _CHANGEABLE}
        return Response(self._shown(accounts.change(account, **changes, now=timezone.now())))

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        accounts.disconnect(self.get_object(), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _shown(self, account: CalendarAccount) -> Any:
        return self.get_serializer(self.get_queryset().get(pk=account.pk)).data


_CHANGEABLE = {"sync_enabled", "email", "name", "provider_data", "tokens"}
