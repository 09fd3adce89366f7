"""`busy_block` and `free_busy`: in under the names of the API document and of the published SDK."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Any

from rest_framework import serializers as plain
from rest_framework_json_api import serializers

from busyblocks import density, moments, rules, zones
from busyblocks.entries import Entry, entry_of, fbtype_of
from busyblocks.errors import RuleRefused
from busyblocks.fields import (
    MetadataField,
    MomentField,
    MomentsField,
    StatusField,
    WordField,
    WordsField,
    ZoneField,
)
from busyblocks.freebusy import Period
from busyblocks.models import BusyBlock, FreeBusyType, Transparency
from busyblocks.moments import Moment
from busyblocks.recurrence import Series, check_entry
from busyblocks.series import Scope
from busyblocks.shown import Shown, series_ids
from tenancy.serializers import UTCDateTimeField, utc_text

# The SDK's names for the document's; the document's wins where both say something.
_ALIASES = {"starts_at": "start_time", "ends_at": "end_time", "timezone": "time_zone", "payload": "metadata"}
_RECURRENCE = frozenset({"recurring", "recurrence_rule", "rdates", "exdates"})
_OUT_OF_TIME = "The time lies outside the years 1 to 9999."
_TEXTS = ("title", "description", "location", "external_event_id")


class BusyBlockSerializer(serializers.ModelSerializer):
    """A busy block. `start_time` and `end_time` of an all-day one are 00:00Z of its dates; the end is exclusive."""

    id = serializers.CharField(source="unique_id", read_only=True)
    unique_id = serializers.CharField(
        read_only=True, help_text='A UUID; of one instance of a series, the series\' UUID, "_" and its recurrence id.'
    )
    series_unique_id = serializers.SerializerMethodField(help_text="Of what belongs to a series: its block's.")
    user_unique_id = serializers.CharField(source="user.unique_id", read_only=True)
    title = WordsField(max_length=1000)
    description = WordsField(max_length=20_000, lines=True)
    location = WordsField(max_length=1000)
    start_time = MomentField(help_text="ISO 8601; without an offset, wall time in `time_zone`; a date for all-day.")
    end_time = MomentField(help_text="As `start_time`; exclusive.")
    all_day = serializers.BooleanField(required=False)
    start_date = serializers.SerializerMethodField(help_text="First date of an all-day block.")
    end_date = serializers.SerializerMethodField(help_text="Date after the last of an all-day block.")
    time_zone = ZoneField(
        required=False, allow_null=True, allow_blank=True, max_length=64, help_text="IANA name; UTC when not given."
    )
    recurring = serializers.BooleanField(required=False, allow_null=True)
    recurrence_rule = WordsField(max_length=rules.MAX_LENGTH + 16, help_text="RFC 5545 RRULE.")
    rdates = MomentsField(periods=True, help_text="Further starts, or periods written start/end.")
    exdates = MomentsField(help_text="Starts of the instances that do not happen.")
    recurrence_id = serializers.SerializerMethodField(help_text="Of an override: the start of the instance replaced.")
    transparency = WordField(choices=Transparency.choices, required=False)
    status = StatusField(required=False)
    event_status = serializers.CharField(source="status", read_only=True)
    enabled = serializers.SerializerMethodField()
    source = WordsField(max_length=64)
    source_id = WordsField(max_length=255)
    external_event_id = WordsField(max_length=512)
    uid = WordsField(read_only=True)
    busy_type = serializers.CharField(source="fbtype", read_only=True)
    read_only = serializers.SerializerMethodField(help_text="Mirrored, or a meeting's: change it at its source.")
    scope = WordField(
        choices=Scope.choices,
        required=False,
        write_only=True,
        help_text="Of a change told of one instance: this one alone, all following too, or all of the series.",
    )
    metadata = MetadataField(required=False, allow_null=True)
    payload = serializers.JSONField(source="metadata", read_only=True)
    created_at = UTCDateTimeField(read_only=True)
    updated_at = UTCDateTimeField(read_only=True)

    class Meta:
        model = BusyBlock
        fields = (
            "id",
            "unique_id",
            "user_unique_id",
            "title",
            "description",
            "start_time",
            "end_time",
            "all_day",
            "start_date",
            "end_date",
            "time_zone",
            "recurring",
            "recurrence_rule",
            "exdates",
            "rdates",
            "recurrence_id",
            "series_unique_id",
            "transparency",
            "status",
            "event_status",
            "enabled",
            "location",
            "source",
            "source_id",
            "external_event_id",
            "uid",
            "busy_type",
            "read_only",
            "scope",
            "payload",
            "metadata",
            "created_at",
            "updated_at",
        )

    def get_start_date(self, block: BusyBlock) -> str | None:
        return block.start_time.astimezone(UTC).date().isoformat() if block.all_day else None

    def get_end_date(self, block: BusyBlock) -> str | None:
        return block.end_time.astimezone(UTC).date().isoformat() if block.all_day else None

    def get_recurrence_id(self, block: BusyBlock) -> str | None:
        return moments.spelled(block.recurrence_id) or None

    def get_series_unique_id(self, block: BusyBlock) -> str | None:
        known = self.context.get("series")
        return (series_ids([block]) if known is None else known).get(block.pk)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """A row; or one instance of a series, whose times are its own and which does not itself recur."""
        block = instance.block if isinstance(instance, Shown) else instance
        data: dict[str, Any] = super().to_representation(block)
        if not isinstance(instance, Shown) or not instance.series_unique_id:
            return data
        start, end = instance.start, instance.end
        if instance.block.all_day:
            data.update(start_date=start.date().isoformat(), end_date=end.date().isoformat())
        data.update(
            id=instance.public_id,
            unique_id=instance.public_id,
            series_unique_id=instance.series_unique_id,
            recurrence_id=moments.spelled(instance.recurrence_id),
            start_time=utc_text(start),
            end_time=utc_text(end),
            recurring=False,
            recurrence_rule=None,
            rdates=[],
            exdates=[],
        )
        return data

    def get_enabled(self, block: BusyBlock) -> bool:
        return block.status != "cancelled"

    def get_read_only(self, block: BusyBlock) -> bool:
        return not block.editable

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            given = dict(data)
            for alias, name in _ALIASES.items():
                if given.get(name) is None and given.get(alias) is not None:
                    given[name] = given[alias]
            if self.context.get("before") is not None:
                # An instance says of itself that it does not recur. Sent back with a change of the series, that is no
                # wish to end it: for that there is DELETE.
                given = {name: value for name, value in given.items() if value or name not in _RECURRENCE}
            data = given
        return super().to_internal_value(data)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What the services take: `entry`, and `source`, `source_id`, `metadata` where they were given."""
        before = self.context.get("before")
        if before is None and isinstance(self.instance, BusyBlock):
            before = entry_of(self.instance)
        others: dict[str, Any] = {name: attrs[name] for name in ("source", "source_id") if name in attrs}
        if "metadata" in attrs:
            others["metadata"] = attrs["metadata"] or {}
        return {"entry": entry_from(attrs, before), **others}


def entry_from(attrs: Mapping[str, Any], before: Entry | None) -> Entry:
    """The entry that the fields describe, what they leave open taken from `before`; raises field errors."""
    zone_name = attrs.get("time_zone") or (before.time_zone if before else "UTC")
    tz = zones.zone(zone_name)
    all_day = attrs.get("all_day", before.all_day if before else False)
    entry = _days(attrs, before, tz) if all_day else _times(attrs, before, tz)
    if entry.end_time < entry.start_time:
        raise serializers.ValidationError({"end_time": "It must not lie before start_time."})
    entry = replace(entry, time_zone=zone_name, **{name: attrs[name] for name in _TEXTS if name in attrs})
    entry = _recurrence(attrs, entry, tz)
    entry = replace(
        entry,
        transparency=attrs.get("transparency", entry.transparency),
        status=attrs.get("status", entry.status),
    )
    return replace(entry, fbtype=fbtype_of(transparency=entry.transparency, status=entry.status))


def _times(attrs: Mapping[str, Any], before: Entry | None, tz: tzinfo) -> Entry:
    """`before`, or a new entry, with the instants that are meant and the wall time at which it starts."""
    start, end = (_meant(name, attrs, before) for name in ("start_time", "end_time"))
    start_time, end_time = _instant("start_time", start, tz), _instant("end_time", end, tz)
    wall = start if isinstance(start, datetime) and start.tzinfo is None else zones.to_wall(start_time, tz)
    if before and "start_time" not in attrs and "time_zone" not in attrs:
        local_start = before.local_start
    elif tz == zones.zone("UTC") or zones.to_utc(wall, tz) != start_time:
        # Of two equal wall times the second was meant: only the instant says so.
        local_start = ""
    else:
        local_start = moments.compact(wall)
    times: dict[str, Any] = {"start_time": start_time, "end_time": end_time, "local_start": local_start}
    return replace(before, **times, all_day=False, duration="") if before else Entry(**times)


def _days(attrs: Mapping[str, Any], before: Entry | None, tz: tzinfo) -> Entry:
    """`before`, or a new entry, of whole days; an end on the day of the start means that one day."""
    start, end = (
        datetime.combine(moments.day(_meant(name, attrs, before), tz), time(), UTC)
        for name in ("start_time", "end_time")
    )
    try:
        end = start + timedelta(days=1) if end == start else end
        _instant("start_time", start, UTC)
    except OverflowError:
        raise serializers.ValidationError({"end_time": _OUT_OF_TIME}) from None
    _instant("end_time", end, UTC)
    times: dict[str, Any] = {"start_time": start, "end_time": end, "local_start": "", "all_day": True}
    return replace(before, **times, duration="") if before else Entry(**times)


def _meant(name: str, attrs: Mapping[str, Any], before: Entry | None) -> Moment:
    if name in attrs:
        found: Moment = attrs[name]
        return found
    assert before is not None  # the serializer requires both times of a new block
    moment: datetime = getattr(before, name)
    # Dates become midnights, and times days, of the zone; not of UTC.
    return moment.astimezone(UTC).date() if before.all_day else moment


def _instant(name: str, moment: Moment, tz: tzinfo) -> datetime:
    try:
        return moments.instant(moment, tz)
    except ValueError:
        raise serializers.ValidationError({name: _OUT_OF_TIME}) from None


def _recurrence(attrs: Mapping[str, Any], entry: Entry, tz: tzinfo) -> Entry:
    """The entry with its rule and its single dates; a rule that is given makes it recur, whatever `recurring` says."""
    if attrs.get("recurring") is False and not attrs.get("recurrence_rule"):
        return replace(entry, recurrence_rule="", rdates=(), exdates=())
    changed: dict[str, Any] = {}
    if "recurrence_rule" in attrs:
        changed["recurrence_rule"] = rules.bare(attrs["recurrence_rule"])
    for name in ("rdates", "exdates"):
        if name in attrs:
            changed[name] = tuple(_compact(name, attrs[name] or (), entry, tz))
    entry = replace(entry, **changed)
    if attrs.get("recurring") and not entry.recurring:
        raise serializers.ValidationError({"recurrence_rule": "A recurring block needs a recurrence rule."})
    if not entry.recurring:
        return replace(entry, exdates=())
    if entry.recurrence_id:
        raise serializers.ValidationError({"recurrence_rule": "One instance of a series does not itself recur."})
    try:
        # What is refused for its words alone is never walked.
        if "recurrence_rule" in attrs:
            density.check(entry)
        check_entry(entry)
    except RuleRefused as error:
        raise serializers.ValidationError({"recurrence_rule": error.reason}) from None
    if Series(entry).ends_before_it_begins:
        raise serializers.ValidationError({"recurrence_rule": "UNTIL lies before start_time: nothing would recur."})
    return entry


def _compact(name: str, given: Iterable[tuple[Moment, ...]], entry: Entry, tz: tzinfo) -> Iterable[str]:
    for parts in given:
        if entry.all_day:
            yield moments.compact(moments.day(parts[0], tz))
        elif len(parts) == 1 and not isinstance(parts[0], datetime):
            yield moments.compact(parts[0])
        else:
            bounds = [_instant(name, part, tz) for part in parts]
            if bounds[-1] < bounds[0]:
                raise serializers.ValidationError({name: "A period must not end before it starts."})
            yield "/".join(map(moments.compact, bounds))


class PeriodSerializer(plain.Serializer[Any]):
    """One stretch of taken time; written by `FreeBusySerializer` itself, because there are thousands of them."""

    # What is not in each answer.
    sometimes = ("local_start", "local_end")
    start_time = UTCDateTimeField()
    end_time = UTCDateTimeField()
    fbtype = plain.CharField(help_text="BUSY, BUSY-TENTATIVE or BUSY-UNAVAILABLE (RFC 5545 §3.2.9).")
    local_start = plain.CharField(required=False, help_text="When `time_zone` was asked for: with its offset.")
    local_end = plain.CharField(required=False)


class FreeBusySerializer(serializers.Serializer):
    """What of a span is taken: disjoint periods by start; what lies between them is free."""

    id = serializers.CharField(source="user_unique_id", read_only=True)
    user_unique_id = serializers.CharField(read_only=True)
    start_time = UTCDateTimeField(read_only=True)
    end_time = UTCDateTimeField(read_only=True)
    time_zone = serializers.CharField(read_only=True)
    periods = PeriodSerializer(many=True, read_only=True)

    def to_representation(self, instance: Any) -> dict[str, Any]:
        return {
            "id": instance.user_unique_id,
            "user_unique_id": instance.user_unique_id,
            "start_time": utc_text(instance.start_time),
            "end_time": utc_text(instance.end_time),
            "time_zone": instance.time_zone,
            "periods": _local(instance) if instance.local else _in_utc(instance.periods),
        }


def _in_utc(periods: Iterable[Period]) -> list[dict[str, str]]:
    told = moments.of_seconds
    return [
        {"start_time": told(since), "end_time": told(until), "fbtype": _FBTYPES[fbtype]}
        for since, until, fbtype in periods
    ]


def _local(answer: Any) -> list[dict[str, str]]:
    tz = zones.zone(answer.time_zone)
    return [
        {
            **utc,
            "local_start": period.start.astimezone(tz).isoformat(),
            "local_end": period.end.astimezone(tz).isoformat(),
        }
        for utc, period in zip(_in_utc(answer.periods), answer.periods, strict=True)
    ]


_FBTYPES = {fbtype: str(fbtype).upper() for fbtype in FreeBusyType}
