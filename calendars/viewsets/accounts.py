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
from calendars.services import accounts, grants
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
        """Connect; the same connection again is a reconnect of the same account.

        Without credentials, and where the vendor knows OAuth, the answer has an address for the user's browser.
        """
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        facts = _with_tokens(body.validated_data, email=body.validated_data["email"])
        return_to = facts.pop("return_to", "")
        account = accounts.connect(self.user_to_write(), **facts, now=timezone.now())
        link = "" if "tokens" in facts else grants.link(account, return_to=return_to, now=timezone.now())
        return Response(self._shown(account, link=link), status=status.HTTP_201_CREATED)

    def update(self, request: Request, **kwargs: Any) -> Response:
        account = self.get_object()
        body = self.get_serializer(account, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        facts = _with_tokens(body.validated_data, email=body.validated_data.get("email", account.email))
        changes = {name: value for name, value in facts.items() if name in _CHANGEABLE}
        return Response(self._shown(accounts.change(account, **changes, now=timezone.now())))

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        accounts.disconnect(self.get_object(), now=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _shown(self, account: CalendarAccount, *, link: str = "") -> Any:
        shown = self.get_queryset().get(pk=account.pk)
        return self.get_serializer(shown, context={**self.get_serializer_context(), "authorize_link": link}).data


def _with_tokens(facts: dict[str, Any], *, email: str) -> dict[str, Any]:
    """The facts with a code exchanged for its tokens, which asks the vendor: before any row is touched."""
    facts = dict(facts)
    grant = facts.pop("grant", None)
    if grant is not None:
        facts["tokens"] = grants.redeem(grant, email=email)
    return facts


_CHANGEABLE = {"sync_enabled", "email", "name", "provider_data", "tokens"}
