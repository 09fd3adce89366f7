"""What the query of a list of busy blocks may ask."""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from django.db.models import Q
from rest_framework.serializers import ValidationError

from busyblocks import moments, zones
from busyblocks.errors import SpanTooWide, UnknownZone
from busyblocks.fields import STATUS_IN
from busyblocks.freebusy import check_width
from busyblocks.timespans import EARLIEST, LATEST, Span
from tenancy.filters import FLAGS, SDK_STATUSES


def status(word: str) -> Q:
    """Rows of a status, in the SDK's words or RFC 5545's; raises ValueError for a word of neither."""
    word = word.lower()
    if word in STATUS_IN:
        return Q(status=STATUS_IN[word])
    if word in SDK_STATUSES:
        return Q(pk__in=[])
    raise ValueError(f"Give one of: {', '.join(STATUS_IN)}.")


def zone_asked(query: Mapping[str, str]) -> tzinfo | None:
    """The zone that `time_zone` names; raises a ValidationError naming the parameter."""
    name = query.get("time_zone", "")
    try:
        return zones.zone(name) if name else None
    except UnknownZone as error:
        raise ValidationError({"time_zone": str(error)}) from None


def span_asked(query: Mapping[str, str]) -> Span | None:
    """The span between `start_time` and `end_time`; the missing one is the end of time, none of both no span.

    Wall times and dates are read in `time_zone`, else UTC. Raises a ValidationError naming the parameter.
    """
    start, end = (_bound(query, name) for name in ("start_time", "end_time"))
    if start is None and end is None:
        return None
    if start is not None and end is not None and end <= start:
        raise ValidationError({"end_time": "It must lie after start_time."})
    return Span(start or EARLIEST, end or LATEST)


def span_required(query: Mapping[str, str]) -> Span:
    """As `span_asked`, with both bounds, and no wider than the settings allow; raises a ValidationError."""
    missing = {name: "This parameter is required." for name in ("start_time", "end_time") if not query.get(name)}
    if missing:
        raise ValidationError(missing)
    span = span_asked(query)
    assert span is not None
    try:
        check_width(span)
    except SpanTooWide as error:
        raise ValidationError({"end_time": str(error)}) from None
    return span


def flag(query: Mapping[str, str], name: str) -> bool:
    """Whether the parameter says true; raises a ValidationError for what is neither true nor false."""
    word = query.get(name, "").lower()
    if word not in {"", *FLAGS}:
        raise ValidationError({name: "Give true or false."})
    return FLAGS.get(word, False)


def _bound(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name, "")
    tz = zone_asked(query) or UTC
    try:
        return moments.instant(moments.parsed(text), tz) if text else None
    except ValueError:
        raise ValidationError({name: "Give an ISO 8601 time, for example 2026-03-01T17:00:00Z."}) from None
