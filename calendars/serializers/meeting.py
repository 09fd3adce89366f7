"""`meeting`: read only; what changes a meeting is its source."""

from rest_framework import serializers as plain
from rest_framework_json_api import serializers

from calendars.models import Meeting, MeetingParticipant
from tenancy.serializers import UTCDateTimeField


class ParticipantSerializer(plain.ModelSerializer[MeetingParticipant]):
    """Somebody who takes part: part of the meeting, no resource of its own."""

    class Meta:
        model = MeetingParticipant
        fields = ("name", "email", "role", "rsvp_status")


class MeetingSerializer(serializers.ModelSerializer):
    """A meeting with who takes part."""

    id = serializers.UUIDField(source="unique_id", read_only=True)
    unique_id = serializers.UUIDField(read_only=True)
    user_unique_id = serializers.CharField(source="user.unique_id", read_only=True)
    start_time = UTCDateTimeField(read_only=True)
    end_time = UTCDateTimeField(read_only=True)
    participants = ParticipantSerializer(many=True, read_only=True)
    created_at = UTCDateTimeField(read_only=True)
    updated_at = UTCDateTimeField(read_only=True)

    class Meta:
        model = Meeting
        fields = (
            "id",
            "unique_id",
            "user_unique_id",
            "title",
            "description",
            "start_time",
            "end_time",
            "time_zone",
            "location",
            "meeting_url",
            "meeting_type",
            "status",
            "participants",
            "source",
            "created_at",
            "updated_at",
        )
