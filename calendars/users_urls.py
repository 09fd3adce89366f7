"""`/users` and `/users/:id`: mounted behind every other path, because an id may hold slashes."""

from django.urls import URLPattern, URLResolver, path

import tenancy.paths  # noqa: F401  # registers <user:…>
from calendars.viewsets.users import UserViewSet

_USER = "users/<user:user_unique_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("users", UserViewSet.as_view({"get": "list"})),
    path(f"{_USER}/register", UserViewSet.as_view({"post": "create"})),
    path(_USER, UserViewSet.as_view({"get": "retrieve", "put": "update"})),
]
