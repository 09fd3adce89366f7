"""`/users/:user_unique_id/ics_tokens`"""

from collections.abc import Collection
from typing import Any

from django.db.models import Q
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_json_api.serializers import ValidationError

from icsfeeds import accesses, pages, services
from icsfeeds.models import ICSToken
from icsfeeds.serializers import ICSTokenSerializer
from tenancy.callers import Scope
from tenancy.errors import Forbidden
from tenancy.filters import SDK_STATUSES
from tenancy.link_serializers import PageLinkSerializer
from tenancy.models import CrmUser
from tenancy.viewsets import TenantViewSet


class SubscribeLinkViewSet(TenantViewSet):
    """Links to the page on which people subscribe to one feed, and to nothing else."""

    queryset = ICSToken.objects.select_related("user__company")
    serializer_class = PageLinkSerializer
    resource_name = "subscribe_link"

    def create(self, request: Request, **kwargs: Any) -> Response:
        token = self.get_object()
        body = PageLinkSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        link = services.link(token, lifetime=body.lifetime(), now=timezone.now())
        context = {**self.get_serializer_context(), "url": pages.url_of(link)}
        return Response(PageLinkSerializer(link, context=context).data, status=status.HTTP_201_CREATED)


def _of_status(text: str) -> Q:
    """`status` is no column: it follows from `active` and the expiry."""
    if text not in SDK_STATUSES:
        raise ValueError("Give active or inactive.")
    usable = Q(active=True) & (Q(expires_at=None) | Q(expires_at__gt=timezone.now()))
    if text == "inactive":
        return ~usable
    return usable if text == "active" else Q(pk__in=())


class ICSTokenViewSet(TenantViewSet):
    """A user's feed addresses."""

    queryset = ICSToken.objects.select_related("company", "user").prefetch_related("team")
    serializer_class = ICSTokenSerializer
    resource_name = "ics_token"
    filterable = {"status": _of_status, "active": "active", "include_synced": "include_synced"}
    searchable = ("label",)
    sortable = {
        "created_at": "created_at",
        "updated_at": "updated_at",
        "label": "label",
        "name": "label",
        "expires_at": "expires_at",
        "last_accessed_at": "last_accessed_at",
        "access_count": "access_count",
        "active": "active",
    }

    def list(self, request: Request, **kwargs: Any) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self._shown(page or [], many=True))

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return Response(self._shown(self.get_object()))

    def create(self, request: Request, **kwargs: Any) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        values = self._with_users(body.validated_data)
        token = services.issue(self.user_to_write(), **values)
        return Response(self._shown(token), status=status.HTTP_201_CREATED)

    def update(self, request: Request, **kwargs: Any) -> Response:
        token = self.get_object()
        body = self.get_serializer(token, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        return Response(self._shown(services.change(token, **self._with_users(body.validated_data))))

    @extend_schema(request=None)
    def rotate(self, request: Request, **kwargs: Any) -> Response:
        """The token with a new value; the old address is dead at once."""
        return Response(self._shown(services.rotate(self.get_object())))

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        services.revoke(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _shown(self, tokens: Any, *, many: bool = False) -> Any:
        rows: Collection[ICSToken] = tokens if many else [tokens]
        context = {**self.get_serializer_context(), "pending": accesses.pending([row.pk for row in rows])}
        return ICSTokenSerializer(tokens, many=many, context=context).data

    def _with_users(self, values: dict[str, Any]) -> dict[str, Any]:
        """The ids of a team as users of the caller's company; whom it does not know stands in no feed yet."""
        if "team" not in values:
            return values
        if values["team"] and not self.caller.is_admin:
            raise Forbidden(f"A team's feed shows several users and takes a token with the scope {Scope.ADMIN}.")
        ids = set(values["team"])
        users = list(CrmUser.objects.filter(company=self.company, unique_id__in=ids))
        if unknown := sorted(ids - {user.unique_id for user in users}):
            raise ValidationError({"user_unique_ids": f"The company has no user {unknown[0]}."})
        return {**values, "team": users}
