"""`/users` and `/users/:id`. An id with a slash has no path of its own here: it could not be told from a wrong path."""

from django.urls import URLPattern, URLResolver, path

from calendars.viewsets.users import UserViewSet

_USER = "users/<str:user_unique_id>"

urlpatterns: list[URLPattern | URLResolver] = [
    path("users", UserViewSet.as_view({"get": "list"})),
    path(f"{_USER}/register", UserViewSet.as_view({"post": "create"})),
    path(_USER, UserViewSet.as_view({"get": "retrieve", "put": "update"})),
]
