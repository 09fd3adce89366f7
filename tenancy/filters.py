"""What the query of a list may ask: `sort`, `search`, and each viewset's own filters, all by allow-list."""

from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import BooleanField, F, Model, Q, QuerySet
from django.db.models.expressions import OrderBy
from django.http import QueryDict
from rest_framework.serializers import ValidationError

MAX_SEARCH_LENGTH = 255
# A column (or lookup), or what makes a condition of the parameter's text and raises ValueError with a sentence.
Filter = str | Callable[[str], Q]
# What the published SDK may ask for anywhere; where a resource has no such status, no row fits.
SDK_STATUSES = frozenset({"active", "inactive", "pending", "archived", "deleted"})
FLAGS = {"true": True, "1": True, "false": False, "0": False}


def filtered(rows: QuerySet[Any], query: QueryDict, filterable: Mapping[str, Filter]) -> QuerySet[Any]:
    """The rows that every given parameter fits; a parameter given several times (`name` or `name[]`) fits any of them.

    An empty value asks for nothing. Raises a ValidationError that names the parameter.
    """
    for name, wanted in filterable.items():
        values = [text for text in (*query.getlist(name), *query.getlist(f"{name}[]")) if text]
        if not values:
            continue
        any_of = Q()
        for text in values:
            any_of |= _condition(rows.model, name, wanted, text)
        rows = rows.filter(any_of)
    return rows


def searched(rows: QuerySet[Any], query: QueryDict, columns: tuple[str, ...]) -> QuerySet[Any]:
    """The rows that hold the `search` text in one of the columns, whatever its case."""
    text = query.get("search", "").strip()
    if not text or not columns:
        return rows
    if len(text) > MAX_SEARCH_LENGTH:
        raise ValidationError({"search": f"At most {MAX_SEARCH_LENGTH} characters."})
    any_of = Q()
    for column in columns:
        any_of |= Q(**{f"{column}__icontains": text})
    return rows.filter(any_of)


def ordered(rows: QuerySet[Any], query: QueryDict, sortable: Mapping[str, str]) -> QuerySet[Any]:
    """By the fields of `sort` ("-" before one turns it round), then by id; as the model orders when it is not given.

    What is empty comes last either way. Raises a ValidationError for a field that is not on the list.
    """
    asked = [word.strip() for word in query.get("sort", "").split(",") if word.strip()]
    if not asked or not sortable:
        return rows
    order: list[OrderBy | str] = []
    for word in asked:
        name = word.removeprefix("-")
        if name not in sortable:
            raise ValidationError({"sort": f"Sort by one of: {', '.join(sortable)}."})
        column = F(sortable[name])
        order.append(column.desc(nulls_last=True) if word.startswith("-") else column.asc(nulls_last=True))
    return rows.order_by(*order, "pk")


def _condition(model: type[Model], name: str, wanted: Filter, text: str) -> Q:
    try:
        return wanted(text) if callable(wanted) else Q(**{wanted: _value(model, wanted, text)})
    except ValueError as error:
        raise ValidationError({name: str(error)}) from None


def _value(model: type[Model], column: str, text: str) -> str | bool:
    """The text as the column holds it; raises ValueError with a sentence."""
    try:
        field = model._meta.get_field(column)
    except FieldDoesNotExist:
        return text
    if isinstance(field, BooleanField):
        if text.lower() not in FLAGS:
            raise ValueError("Give true or false.")
        return FLAGS[text.lower()]
    choices = [str(value) for value, _ in getattr(field, "choices", None) or ()]
    if choices and text not in choices and not (column == "status" and text in SDK_STATUSES):
        raise ValueError(f"Give one of: {', '.join(choices)}.")
    return text
