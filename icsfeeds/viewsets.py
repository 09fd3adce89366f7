"""`/users/:user_unique_id/ics_tokens`"""

from collections.abc import Collection
from typing import Any

from django.db.models import Q
from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from icsfeeds import accesses, services
from icsfeeds.models import ICSToken
from icsfeeds.serializers import ICSTokenSerializer
from tenancy.filters import SDK_STATUSES
from tenancy.viewsets import TenantViewSet


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

    queryset = ICSToken.objects.select_related("company", "user")
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
        token = services.issue(self.user_to_write(), **body.validated_data)
        return Response(self._shown(token), status=status.HTTP_201_CREATED)

    def update(self, request: Request, **kwargs: Any) -> Response:
        token = self.get_object()
        body = self.get_serializer(token, data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        return Response(self._shown(services.change(token, **body.validated_data)))

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        services.revoke(self.get_object())
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _shown(self, tokens: Any, *, many: bool = False) -> Any:
        rows: Collection[ICSToken] = tokens if many else [tokens]
        context = {**self.get_serializer_context(), "pending": accesses.pending([row.pk for row in rows])}
        return ICSTokenSerializer(tokens, many=many, context=context).data
