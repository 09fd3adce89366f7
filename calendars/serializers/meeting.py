"""`meeting` and `meeting_participant`: in and out under this API's names and those of the published SDK."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q
from rest_framework import serializers as plain
from rest_framework_json_api import serializers

from busyblocks import zones
from busyblocks.entries import Entry
from busyblocks.fields import MetadataField, MomentField, WordField, WordsField, ZoneField
from busyblocks.serializers import entry_from
from calendars.models import Meeting, MeetingParticipant
from calendars.models.meeting import MeetingStatus
from calendars.services.meetings import OWN_FIELDS, Facts, Participant
from tenancy.filters import SDK_STATUSES
from tenancy.models import MAX_USER_ID
from tenancy.serializers import UTCDateTimeField, utc_text

# The SDK's words beside this API's.
STATUS_IN = {
    **{status.value: status for status in MeetingStatus},
    "active": MeetingStatus.SCHEDULED,
    "inactive": MeetingStatus.CANCELLED,
    "archived": MeetingStatus.COMPLETED,
    "confirmed": MeetingStatus.SCHEDULED,
    "canceled": MeetingStatus.CANCELLED,
}
# The SDK's names for this API's, which win where both say something.
_ALIASES = {"timezone": "time_zone", "meeting_location": "location", "scheduled_at": "start_time"}
_PERSON_ALIASES = {
    "participant_unique_id": "contact_unique_id",
    "participant_email": "email",
    "participant_name": "name",
    "participant_phone": "phone",
    "participant_type": "role",
}
_UNITS = {"minute": 60, "hour": 3600, "day": 86_400}
_UNIT_CHOICES = [(word, word) for unit in _UNITS for word in (unit, f"{unit}s")]
_TEXTS = ("title", "description", "location")
_TIMES = ("start_time", "end_time", "all_day", "time_zone")


def status(word: str) -> Q:
    """Meetings of a status, in this API's words or the SDK's; raises ValueError for a word of neither."""
    word = word.lower()
    if word in STATUS_IN:
        return Q(status=STATUS_IN[word])
    if word in SDK_STATUSES:
        return Q(pk__in=[])
    raise ValueError(f"Give one of: {', '.join(MeetingStatus.values)}.")


class StatusField(WordField):
    """scheduled, completed, cancelled, pending; the SDK's words come in too."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(choices=[(word, word) for word in STATUS_IN], **kwargs)

    def to_internal_value(self, data: Any) -> MeetingStatus:
        return STATUS_IN[super().to_internal_value(data)]

    def to_representation(self, value: Any) -> str:
        return MeetingStatus(value).value


class LinkField(WordsField):
    """A web address, or nothing."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data).strip()
        if text and (not text.lower().startswith(("https://", "http://")) or any(sign.isspace() for sign in text)):
            raise serializers.ValidationError("Give a web address: https://…")
        return text


class PersonSerializer(plain.ModelSerializer[MeetingParticipant]):
    """Somebody who takes part, as they stand in the meeting itself."""

    email = plain.EmailField(max_length=254)

    class Meta:
        model = MeetingParticipant
        fields = ("name", "email", "role", "rsvp_status")
        extra_kwargs = {name: {"required": False} for name in ("name", "role", "rsvp_status")}


class MeetingSerializer(serializers.ModelSerializer):
    """A meeting with who takes part. An all-day one is dates: 00:00Z of the first, and of the one after the last."""

    id = serializers.UUIDField(source="unique_id", read_only=True)
    unique_id = serializers.UUIDField(read_only=True)
    user_unique_id = serializers.CharField(
        source="user.unique_id",
        required=False,
        allow_null=True,
        allow_blank=True,
        max_length=MAX_USER_ID,
        help_text="Whose meeting it is; null while nobody has been matched to a booking's host.",
    )
    user_name = WordsField(source="user.name", read_only=True)
    user_email = WordsField(source="user.email", read_only=True)
    code = WordsField(max_length=255)
    title = WordsField(max_length=1000)
    description = WordsField(max_length=20_000, lines=True)
    scheduled_at = UTCDateTimeField(source="start_time", read_only=True)
    start_time = MomentField(
        required=False, help_text="ISO 8601; without an offset, wall time in `time_zone`; a date for all-day."
    )
    end_time = MomentField(required=False, help_text="As `start_time`; else `time_quantity` and `time_unit` after it.")
    time_unit = WordField(choices=_UNIT_CHOICES, required=False)
    time_quantity = serializers.IntegerField(required=False, allow_null=True, min_value=0, max_value=1_000_000)
    all_day = serializers.BooleanField(required=False)
    time_zone = ZoneField(required=False, allow_null=True, allow_blank=True, max_length=64)
    timezone = serializers.CharField(source="time_zone", read_only=True)
    location = WordsField(max_length=1000)
    meeting_location = serializers.CharField(source="location", read_only=True)
    meeting_url = LinkField(max_length=2048)
    meeting_type = WordsField(max_length=255)
    meeting_score = serializers.FloatField(required=False, allow_null=True, min_value=-1e9, max_value=1e9)
    account_unique_id = WordsField(max_length=255)
    status = StatusField(required=False)
    enabled = serializers.BooleanField(required=False, help_text="Neither cancelled nor in the trash.")
    organizer_name = serializers.CharField(read_only=True)
    organizer_email = serializers.CharField(read_only=True)
    participants = PersonSerializer(many=True, required=False)
    payload = MetadataField(required=False, allow_null=True)
    read_only = serializers.SerializerMethodField(help_text="Booked elsewhere: there its time and words are changed.")
    payment_status = WordsField(read_only=True, help_text="awaited or paid, where a payment was asked for.")
    recording_url = WordsField(read_only=True)
    transcript_url = WordsField(read_only=True)
    cancellation_reason = WordsField(read_only=True)
    started_at = UTCDateTimeField(read_only=True)
    ended_at = UTCDateTimeField(read_only=True)
    created_at = UTCDateTimeField(read_only=True)
    updated_at = UTCDateTimeField(read_only=True)
    deleted_at = UTCDateTimeField(read_only=True)

    class Meta:
        model = Meeting
        fields = (
            "id",
            "unique_id",
            "user_unique_id",
            "user_name",
            "user_email",
            "code",
            "title",
            "description",
            "scheduled_at",
            "start_time",
            "end_time",
            "time_unit",
            "time_quantity",
            "all_day",
            "time_zone",
            "timezone",
            "location",
            "meeting_location",
            "meeting_url",
            "meeting_type",
            "meeting_score",
            "account_unique_id",
            "status",
            "enabled",
            "organizer_name",
            "organizer_email",
            "participants",
            "payload",
            "read_only",
            "source",
            "started_at",
            "ended_at",
            "payment_status",
            "recording_url",
            "transcript_url",
            "cancellation_reason",
            "created_at",
            "updated_at",
            "deleted_at",
        )
        read_only_fields = ("source",)

    def get_read_only(self, meeting: Meeting) -> bool:
        return not meeting.made_here

    def to_representation(self, instance: Meeting) -> dict[str, Any]:
        minutes = int((instance.end_time - instance.start_time).total_seconds()) // 60
        instance.time_unit, instance.time_quantity = "minutes", minutes  # type: ignore[attr-defined]
        instance.enabled = instance.status != MeetingStatus.CANCELLED and instance.deleted_at is None  # type: ignore[attr-defined]
        shown: dict[str, Any] = super().to_representation(instance)
        for name in ("user_unique_id", "user_name", "user_email"):
            shown.setdefault(name, None)
        return shown

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(_under_our_names(data, _ALIASES))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """What was given, as the services take it: `facts`, `status`, `people`, `own`, `user_unique_id`; each only
        where something of it was given."""
        meeting = self.instance if isinstance(self.instance, Meeting) else None
        found: dict[str, Any] = {"own": _own(attrs)}
        if "user" in attrs:
            found["user_unique_id"] = attrs["user"].get("unique_id") or ""
        if "participants" in attrs:
            found["people"] = [_person(values) for values in attrs["participants"]]
        stated = {"start_time", "end_time", "time_quantity", "all_day", "time_zone", "meeting_url", "meeting_type"}
        if meeting is None or attrs.keys() & (stated | set(_TEXTS)):
            found["facts"] = _facts(attrs, meeting)
        if "status" in attrs:
            found["status"] = attrs["status"]
        elif attrs.get("enabled") is False:
            found["status"] = MeetingStatus.CANCELLED
        elif attrs.get("enabled") and meeting is not None and meeting.status == MeetingStatus.CANCELLED:
            found["status"] = MeetingStatus.SCHEDULED
        return found


class ParticipantSerializer(serializers.ModelSerializer):
    """Somebody who takes part, as a resource of their own."""

    id = serializers.UUIDField(source="unique_id", read_only=True)
    unique_id = serializers.UUIDField(read_only=True)
    meeting_unique_id = serializers.UUIDField(source="meeting.unique_id", read_only=True)
    user_unique_id = WordsField(source="user.unique_id", read_only=True)
    contact_unique_id = WordsField(max_length=255)
    email = serializers.EmailField(required=False, allow_blank=True, allow_null=True, max_length=254)
    name = WordsField(max_length=255)
    phone = WordsField(max_length=64)
    role = WordsField(max_length=32)
    rsvp_status = serializers.CharField(read_only=True)
    joined_at = serializers.SerializerMethodField()
    left_at = serializers.SerializerMethodField()
    no_show = serializers.BooleanField(read_only=True)
    status = serializers.SerializerMethodField()
    enabled = serializers.SerializerMethodField()
    created_at = UTCDateTimeField(read_only=True)
    updated_at = UTCDateTimeField(read_only=True)

    class Meta:
        model = MeetingParticipant
        fields = (
            "id",
            "unique_id",
            "meeting_unique_id",
            "user_unique_id",
            "contact_unique_id",
            "email",
            "name",
            "phone",
            "role",
            "rsvp_status",
            "joined_at",
            "left_at",
            "no_show",
            "status",
            "enabled",
            "created_at",
            "updated_at",
        )

    def get_joined_at(self, person: MeetingParticipant) -> str | None:
        """When the meeting began, for whoever came."""
        began = person.meeting.started_at
        return utc_text(began) if began and not person.no_show else None

    def get_left_at(self, person: MeetingParticipant) -> str | None:
        ended = person.meeting.ended_at
        return utc_text(ended) if ended and not person.no_show else None

    def get_status(self, person: MeetingParticipant) -> str:
        return "active"

    def get_enabled(self, person: MeetingParticipant) -> bool:
        return True

    def to_representation(self, instance: MeetingParticipant) -> dict[str, Any]:
        shown: dict[str, Any] = super().to_representation(instance)
        shown.setdefault("user_unique_id", None)
        return shown

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(_under_our_names(data, _PERSON_ALIASES))

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return {**attrs, "email": (attrs.get("email") or "").lower(), "role": attrs.get("role") or "attendee"}


def _under_our_names(data: Any, aliases: Mapping[str, str]) -> Any:
    if not isinstance(data, Mapping):
        return data
    given = dict(data)
    for alias, name in aliases.items():
        if given.get(name) is None and given.get(alias) is not None:
            given[name] = given[alias]
    return given


def _own(attrs: Mapping[str, Any]) -> dict[str, Any]:
    own = {name: attrs[name] for name in OWN_FIELDS if name in attrs}
    if "payload" in own:
        own["payload"] = own["payload"] or {}
    return own


def _person(values: Mapping[str, Any]) -> Participant:
    return Participant(
        email=values["email"].lower(),
        name=values.get("name", ""),
        role=values.get("role") or "attendee",
        rsvp_status=values.get("rsvp_status") or "accepted",
    )


def _facts(attrs: Mapping[str, Any], meeting: Meeting | None) -> Facts:
    """The meeting's facts with what was given; raises field errors. Times are read as those of busy blocks."""
    before = _entry_of(meeting) if meeting is not None else None
    if before is None and "start_time" not in attrs:
        raise serializers.ValidationError({"start_time": "This field is required."})
    times = {name: attrs[name] for name in (*_TIMES, *_TEXTS) if name in attrs}
    quantity = attrs.get("time_quantity")
    if "end_time" not in attrs and (quantity is not None or "start_time" in attrs):
        # One that is only moved keeps its length.
        length = (
            timedelta(seconds=_UNITS[attrs.get("time_unit", "minute").rstrip("s")] * quantity) if quantity else None
        )
        times |= _moved(times, before, length)
    entry = entry_from(times, before)
    known = {"meeting_url": "", "meeting_type": ""}
    if meeting is not None:
        names = ("meeting_url", "meeting_type", "organizer_name", "organizer_email", "ical_uid")
        known = {name: getattr(meeting, name) for name in names}
    for name in ("meeting_url", "meeting_type"):
        if name in attrs:
            known[name] = attrs[name] or ""
    return Facts(
        start_time=entry.start_time,
        end_time=entry.end_time,
        all_day=entry.all_day,
        time_zone=entry.time_zone,
        title=entry.title,
        description=entry.description,
        location=entry.location,
        **known,
    )


def _moved(times: Mapping[str, Any], before: Entry | None, length: timedelta | None) -> dict[str, Any]:
    """The end that follows from the start and the length: the one given, else the one it had."""
    if times.get("all_day", before.all_day if before else False):
        start = times.get("start_time")
        return {} if before and start is None else {"end_time": start}
    if length is None and before is None:
        raise serializers.ValidationError({"end_time": "Give end_time, or time_quantity and time_unit."})
    if length is None:
        assert before is not None
        length = before.end_time - before.start_time
    tz = zones.zone(times.get("time_zone") or (before.time_zone if before else "UTC"))
    start = times.get("start_time", before.start_time if before else None)
    try:
        if isinstance(start, datetime) and start.tzinfo is None:
            start = zones.to_utc(start, tz)
        elif not isinstance(start, datetime):
            assert start is not None
            start = zones.midnight(start, tz)
        return {"end_time": start.astimezone(UTC) + length}
    except (OverflowError, ValueError):
        raise serializers.ValidationError({"end_time": "The time lies outside the years 1 to 9999."}) from None


def _entry_of(meeting: Meeting) -> Entry:
    names = ("start_time", "end_time", "all_day", "time_zone", *_TEXTS)
    return Entry(**{name: getattr(meeting, name) for name in names})
