"""Pages of a list: `page` from 1, `records` per page."""

from typing import Any

from django.conf import settings
from django.core.paginator import InvalidPage
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response


class PageNumbers(PageNumberPagination):
    """15 rows a page unless `records` says otherwise; more than 100 are clamped to 100.

    A page after the last is empty, so that a reader who pages until nothing comes ends well. The meta carries the
    names that the SDK reads and those that the sibling documents show.
    """

    page_query_param = "page"
    page_size_query_param = "records"
    page_size = settings.API_PAGE_SIZE
    max_page_size = settings.API_PAGE_SIZE_LIMIT

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """The rows of the page; raises a ValidationError naming the parameter that is no positive number."""
        self.number = self._positive(request, self.page_query_param, 1)
        self.size = min(self._positive(request, self.page_size_query_param, self.page_size), self.max_page_size)
        paginator = self.django_paginator_class(queryset, self.size)
        self.total = paginator.count
        self.pages = paginator.num_pages if self.total else 0
        try:
            return list(paginator.page(self.number))
        except InvalidPage:
            return []

    def get_paginated_response(self, data: Any) -> Response:
        meta = {
            "current_page": self.number,
            "total_pages": self.pages,
            "total_count": self.total,
            "per_page": self.size,
            "totalPages": self.pages,
            "totalRecords": self.total,
        }
        return Response({"results": data, "meta": meta})

    @staticmethod
    def _positive(request: Request, name: str, default: int) -> int:
        text = request.query_params.get(name, "")
        if not text:
            return default
        if not text.isdecimal() or int(text[:9]) < 1 or len(text) > 9:
            raise ValidationError({name: "Give a whole number of at least 1."})
        return int(text)
