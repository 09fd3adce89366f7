"""Paths of this app."""

from django.urls import URLPattern, URLResolver, path, re_path

from icsfeeds import pages, views
from icsfeeds.viewsets import ICSTokenViewSet, SubscribeLinkViewSet
from tenancy import paths  # noqa: F401  (registers <user:…>)

_LIST = ICSTokenViewSet.as_view({"get": "list", "post": "create"})
_ONE = ICSTokenViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"})
_ROTATE = ICSTokenViewSet.as_view({"post": "rotate"})
_SUBSCRIBE_LINKS = SubscribeLinkViewSet.as_view({"post": "create"})

# Whatever stands below /ics/ is a token or nothing, slashes and line breaks too: one answer to all that is wrong.
FEED = r"^calendars/(?P<company_url_id>[^/]+)/ics/(?P<token>[\s\S]+)\Z"

urlpatterns: list[URLPattern | URLResolver] = [
    path("users/<user:user_unique_id>/ics_tokens", _LIST),
    path("users/<user:user_unique_id>/ics_tokens/<str:id>", _ONE),
    path("users/<user:user_unique_id>/ics_tokens/<str:id>/rotate", _ROTATE),
    path("users/<user:user_unique_id>/ics_tokens/<str:id>/subscribe_links", _SUBSCRIBE_LINKS),
    re_path(FEED, views.feed),
    path("subscribe/<str:link>", pages.feeds, name="subscribe"),
    path("subscribe/<str:link>/<uuid:feed_id>", pages.feed, name="subscribe-feed"),
    path("subscribe/<str:link>/<uuid:feed_id>/rotate", pages.rotate, name="subscribe-rotate"),
]
