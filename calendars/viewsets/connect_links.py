"""`/users/:user_unique_id/connect_links`"""

from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_json_api import serializers

from calendars.services.grants import is_allowed_return
from tenancy import page_links
from tenancy.link_serializers import PageLinkSerializer
from tenancy.models import CrmUser
from tenancy.page_links import PageLink
from tenancy.viewsets import TenantViewSet


class ConnectLinkSerializer(PageLinkSerializer):
    """A link to the page on which the user connects calendars and subscribes to feeds."""

    return_to = serializers.CharField(
        required=False,
        allow_blank=True,
        allow_null=True,
        max_length=2048,
        help_text="An address on one of OAUTH_RETURN_HOSTS that the page links back to.",
    )

    def validate_return_to(self, value: str | None) -> str:
        if value and not is_allowed_return(value):
            raise serializers.ValidationError("The host of this address is not among those allowed to return to.")
        return value or ""


class ConnectLinkViewSet(TenantViewSet):
    """Links to the connect page. Whoever may change the user's accounts may hand one out."""

    queryset = CrmUser.objects.all()
    serializer_class = ConnectLinkSerializer
    resource_name = "connect_link"
    user_lookup = None

    def create(self, request: Request, **kwargs: Any) -> Response:
        body = ConnectLinkSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        return_to = body.validated_data.get("return_to", "")
        user, now = self.user_to_write(), timezone.now()
        link = page_links.issue(user, now=now, lifetime=body.lifetime(), return_to=return_to)
        context = {**self.get_serializer_context(), "url": url_of(link)}
        return Response(ConnectLinkSerializer(link, context=context).data, status=status.HTTP_201_CREATED)


def url_of(link: PageLink) -> str:
    """Where the connect page is reached from outside."""
    return f"{settings.PUBLIC_URL}{reverse('connect', args=[link.text])}"
