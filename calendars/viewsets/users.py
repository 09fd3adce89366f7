"""`/users/:user_unique_id`: what is known of a user, by which bookings and calendars find them."""

from typing import Any

from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from rest_framework import status
from rest_framework.mixins import ListModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from calendars.serializers.user import UserSerializer
from calendars.services import people
from tenancy.models import CrmUser
from tenancy.viewsets import TenantViewSet


class UserViewSet(ListModelMixin, TenantViewSet):
    """The company's users; without the administrator's scope, only the caller's own."""

    queryset = CrmUser.objects.all()
    serializer_class = UserSerializer
    resource_name = "user"
    user_lookup = None
    searchable = ("name", "email", "unique_id")
    sortable = {name: name for name in ("name", "email", "created_at", "unique_id")}

    def get_queryset(self) -> QuerySet[CrmUser]:
        rows: QuerySet[CrmUser] = super().get_queryset()
        return rows if self.caller.is_admin else rows.filter(unique_id=self.caller.user_unique_id)

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        user = self.user_to_read()
        if user is None:
            raise Http404
        return Response(self.get_serializer(user).data)

    def create(self, request: Request, **kwargs: Any) -> Response:
        """As `update`, in the SDK's words."""
        return Response(self._written(request), status=status.HTTP_201_CREATED)

    def update(self, request: Request, **kwargs: Any) -> Response:
        """What the body leaves out stays as it is. A user of whom nothing was known is made."""
        return Response(self._written(request))

    def _written(self, request: Request) -> Any:
        body = self.get_serializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        if not body.validated_data and self.user_to_read() is None:
            # A path with a slip in it must not make a user.
            raise ValidationError({"email": "Give an e-mail, a name or a time zone."})
        user = people.change(self.user_to_write(), **body.validated_data, now=timezone.now())
        return self.get_serializer(user).data
