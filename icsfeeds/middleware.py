"""The short way to the feeds: they know neither sessions nor cookies nor forms, and are asked for most of all."""

import re
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase
from django.urls import ResolverMatch

from icsfeeds import views
from icsfeeds.urls import FEED

_PATH = re.compile(FEED)


class FeedsShortWay:
    """Answers feed paths where it stands, without what the rest of the stack does for people and for the API."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        if not path.startswith("/calendars/"):
            return self.get_response(request)
        match = _PATH.match(path[1:])
        if match is None:
            return self.get_response(request)
        # Raises DisallowedHost, as CommonMiddleware would.
        request.get_host()
        request.resolver_match = ResolverMatch(views.feed, (), {}, route=FEED)
        return views.feed(request, **match.groupdict())
