"""A small API behind the real settings and middleware, so that the edge is tested without any app's rules."""

from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db import DatabaseError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.decorators.http import require_GET
from rest_framework import mixins
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_json_api import serializers

import tenancy.paths  # noqa: F401  (registers the user converter)
from busyblocks.models import BusyBlock
from tenancy.errors import NotFound
from tenancy.permissions import IsCompanyAdmin
from tenancy.serializers import UTCDateTimeField
from tenancy.viewsets import TenantViewSet


class NoteSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="unique_id", read_only=True)
    start_time = UTCDateTimeField()
    end_time = UTCDateTimeField()
    title = serializers.CharField(max_length=20)
    metadata = serializers.JSONField(required=False)

    class Meta:
        model = BusyBlock
        fields = ("id", "unique_id", "title", "start_time", "end_time", "metadata")

    def create(self, values: dict[str, Any]) -> BusyBlock:
        view = self.context["view"]
        return BusyBlock.objects.create(company=view.company, user=view.user_to_write(), **values)


class NoteViewSet(
    mixins.ListModelMixin,
    mixins.CreateModelMixin,
    mixins.RetrieveModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    TenantViewSet,
):
    queryset = BusyBlock.objects.order_by("id")
    serializer_class = NoteSerializer
    resource_name = "calendar_account"


class Failures(APIView):
    """Raises what the path says."""

    errors = {
        "bug": lambda: ZeroDivisionError("pk_live_in_the_message"),
        "database": lambda: OperationalError("connection refused"),
        "constraint": lambda: DatabaseError("broken"),
        "suspicious": lambda: SuspiciousOperation("odd"),
        "throttled": lambda: Throttled(wait=7),
        "account": lambda: NotFound("calendar_account"),
    }

    def get(self, request: Request, kind: str) -> Response:
        error = self.errors[kind]()
        raise error

    def post(self, request: Request, kind: str) -> Response:
        return Response({"data": request.data, "meta": {"parameters": len(request.query_params)}})


class CompanyWide(APIView):
    permission_classes = [IsCompanyAdmin]

    def post(self, request: Request) -> Response:
        return Response({"message": "done"})


@require_GET
def plain(request: HttpRequest) -> HttpResponse:
    if "break" in request.GET:
        raise ZeroDivisionError("a secret in the message")
    return HttpResponse("plain", content_type="text/plain")


LIST = NoteViewSet.as_view({"get": "list", "post": "create"})
ONE = NoteViewSet.as_view({"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"})

urlpatterns = [
    path("users/<user:user_unique_id>/notes", LIST),
    path("users/<user:user_unique_id>/notes/<id>", ONE),
    path("failures/<kind>", Failures.as_view()),
    path("company", CompanyWide.as_view()),
    path("calendars/<url_id>/feeds/<token>", plain),
    path("", include("config.urls")),
]
handler500 = "config.jsonapi.fallbacks.server_error"
