"""The start of every JSON:API viewset: at the caller's company, and at the user that the path names."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core import exceptions
from django.db.models import QuerySet
from django.http import Http404
from rest_framework.serializers import BaseSerializer, ValidationError
from rest_framework.viewsets import GenericViewSet

from tenancy import filters
from tenancy.callers import Caller
from tenancy.filters import Filter
from tenancy.models import MAX_USER_ID, Company, CrmUser


class TenantViewSet(GenericViewSet[Any]):
    """Rows of the caller's company only. With `user_unique_id` in the path: of that user only.

    A subclass names `queryset` (any rows), `serializer_class` and `resource_name`; rows are found by `unique_id`,
    and an id that is no UUID is as unknown as one that nobody has.

    sortable: fields that `sort` may name; searchable: text columns that `search` looks into;
    filterable: query parameter → column, or a function that makes a condition of the parameter's text.
    """

    lookup_field = "unique_id"
    lookup_url_kwarg = "id"
    resource_name: ClassVar[str]
    sortable: ClassVar[Mapping[str, str]] = {}
    searchable: ClassVar[tuple[str, ...]] = ()
    filterable: ClassVar[Mapping[str, Filter]] = {}
    company_lookup: ClassVar[str] = "company"
    user_lookup: ClassVar[str | None] = "user"
    # Whether the same rows are reached under /users/:user_unique_id/ too.
    also_of_users: ClassVar[bool] = False

    @property
    def caller(self) -> Caller:
        caller = self.request.user
        assert isinstance(caller, Caller)
        return caller

    @property
    def company(self) -> Company:
        return self.caller.company

    def get_queryset(self) -> QuerySet[Any]:
        rows = super().get_queryset().filter(**{self.company_lookup: self.company})
        if self.user_lookup and "user_unique_id" in self.kwargs:
            rows = rows.filter(**{f"{self.user_lookup}__unique_id": self.kwargs["user_unique_id"]})
        return rows

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The rows of the list that the query asks for, in the order that it asks for."""
        query = self.request.query_params
        rows = filters.filtered(super().filter_queryset(queryset), query, self.filterable)
        return filters.ordered(filters.searched(rows, query, self.searchable), query, self.sortable)

    def get_object(self) -> Any:
        """The row, or Http404; the exception handler words it by `resource_name`."""
        try:
            found = self.get_queryset().filter(unique_id=self.kwargs[self.lookup_url_kwarg]).first()
        except (exceptions.ValidationError, ValueError):
            found = None
        if found is None:
            raise Http404
        return found

    def user_to_read(self) -> CrmUser | None:
        """The path's user, or None when nothing was ever written about them."""
        return CrmUser.objects.filter(company=self.company, unique_id=self.kwargs["user_unique_id"]).first()

    def user_to_write(self) -> CrmUser:
        """The path's user, made on first write; raises a ValidationError for an id that is too long to keep."""
        unique_id = self.kwargs["user_unique_id"]
        if len(unique_id) > MAX_USER_ID:
            raise ValidationError({"user_unique_id": f"A user's id has at most {MAX_USER_ID} characters."})
        user, _ = CrmUser.objects.get_or_create(company=self.company, unique_id=unique_id)
        return user

    def get_serializer(self, *args: Any, **kwargs: Any) -> BaseSerializer[Any]:
        """As DRF's; a change names only what it changes, with PUT as with PATCH (the API document's PUT is partial)."""
        if self.request.method == "PUT":
            kwargs["partial"] = True
        return super().get_serializer(*args, **kwargs)
