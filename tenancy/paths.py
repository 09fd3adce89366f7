"""How paths name a user."""

from django.urls import register_converter


class UserIdConverter:
    """`<user:user_unique_id>`: whatever text the CRM calls its user, slashes and dots too.

    Servers decode `%2F` before we see the path, so the id takes what stands before the last word of the route.
    """

    # Line breaks too; not "(?s:.+)", which would make `reverse` fail for every path of the project.
    regex = r"[\s\S]+"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(UserIdConverter, "user")
