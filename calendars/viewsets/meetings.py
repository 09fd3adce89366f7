"""`/meetings`, `/users/:user_unique_id/meetings`, and `/meetings/:id/participants`"""

from typing import Any

from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404
from django.utils import timezone
from rest_framework import status as statuses
from rest_framework.mixins import ListModelMixin, RetrieveModelMixin
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError

from busyblocks.filters import span_asked
from calendars.models import Meeting, MeetingParticipant
from calendars.models.meeting import MANUAL, MeetingStatus
from calendars.serializers import meeting as serializers
from calendars.services import meetings
from calendars.services.meetings import FACT_FIELDS, Facts, Participant
from tenancy.errors import Forbidden
from tenancy.models import CrmUser
from tenancy.viewsets import TenantViewSet


def _matched(text: str) -> Q:
    if text.lower() not in {"true", "false"}:
        raise ValueError("Give true or false.")
    return Q(user__isnull=text.lower() == "false")


def _active(text: str) -> Q:
    """The SDK's statuses: whoever takes part is active."""
    return Q() if text == "active" else Q(pk__in=[])


class _Reachable(TenantViewSet):
    """What a caller may see of the company's meetings: an administrator all of them, others those of their user."""

    user_lookup = None

    def reachable(self, rows: QuerySet[Meeting]) -> QuerySet[Meeting]:
        named = self.kwargs.get("user_unique_id")
        if named is not None:
            return meetings.of_user(rows, named)
        if self.caller.is_admin:
            return rows
        own = self.caller.user_unique_id
        return rows.none() if own is None else meetings.of_user(rows, own)


class MeetingViewSet(ListModelMixin, RetrieveModelMixin, _Reachable):
    """The company's meetings, or a user's; `start_time` and `end_time` narrow the list to those that overlap the span.

    A booking's time and words change where it was booked; whose it is, and the CRM's own fields, change here.
    """

    queryset = Meeting.objects.select_related("user").prefetch_related("participants")
    serializer_class = serializers.MeetingSerializer
    resource_name = "meeting"
    also_of_users = True
    filterable = {
        "status": serializers.status,
        "user_unique_id": "user__unique_id",
        "account_unique_id": "account_unique_id",
        "meeting_type": "meeting_type",
        "source": "source",
        "code": "code",
        "matched": _matched,
    }
    searchable = ("title", "description", "location", "code")
    sortable = {
        **{name: name for name in ("start_time", "end_time", "created_at", "updated_at", "title", "status", "code")},
        "scheduled_at": "start_time",
    }

    def get_queryset(self) -> QuerySet[Meeting]:
        rows = self.reachable(super().get_queryset())
        if self.action == "recover":
            return rows
        return rows.filter(deleted_at__isnull=self.action != "trash")

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Half-open, as all spans: what ends when it starts is outside, a moment without length inside is in."""
        rows = super().filter_queryset(queryset)
        span = span_asked(self.request.query_params)
        if span is None:
            return rows
        inside = Q(end_time__gt=span.start) | Q(start_time__gte=span.start)
        return rows.filter(inside, start_time__lt=span.end)

    def trash(self, request: Request, **kwargs: Any) -> Response:
        """What was deleted and can be recovered."""
        return self.list(request, **kwargs)

    def create(self, request: Request, **kwargs: Any) -> Response:
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        now = timezone.now()
        meeting = meetings.schedule(
            self.company,
            source=MANUAL,
            facts=given["facts"],
            user=self._owner(given.get("user_unique_id")),
            participants=given.get("people", ()),
            status=given.get("status", MeetingStatus.SCHEDULED),
            own=given["own"],
            said_at=now,
            now=now,
        )
        return Response(self._shown(meeting), status=statuses.HTTP_201_CREATED)

    def update(self, request: Request, **kwargs: Any) -> Response:
        """What the body leaves out stays as it is."""
        meeting: Meeting = self.get_object()
        body = self.get_serializer(meeting, data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        if {"facts", "status", "people"} & given.keys():
            meetings.check_made_here(meeting)
        now = timezone.now()
        with transaction.atomic():
            meeting = Meeting.objects.select_for_update().get(pk=meeting.pk)
            if "user_unique_id" in given:
                meetings.assign(meeting, to=self._owner(given["user_unique_id"]), now=now)
            if {"facts", "status"} & given.keys():
                facts = given.get("facts") or Facts(**{name: getattr(meeting, name) for name in FACT_FIELDS})
                status = given.get("status", MeetingStatus(meeting.status))
                meetings.reschedule(meeting, facts=facts, status=status, said_at=now, now=now)
            if "people" in given:
                meetings.invite(meeting, given["people"], only=True, now=now)
            meetings.annotate(meeting, given["own"])
        return Response(self._shown(meeting))

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Into the trash."""
        meetings.discard(self.get_object(), now=timezone.now())
        return Response(status=statuses.HTTP_204_NO_CONTENT)

    def recover(self, request: Request, **kwargs: Any) -> Response:
        """Out of the trash, as it would be by now."""
        return Response(self._shown(meetings.recover(self.get_object(), now=timezone.now())))

    def _shown(self, meeting: Meeting) -> Any:
        found = Meeting.objects.select_related("user").prefetch_related("participants").get(pk=meeting.pk)
        return self.get_serializer(found).data

    def _owner(self, wanted: str | None) -> CrmUser | None:
        """The path's user; else the one asked for, else the caller's own. Raises Forbidden for anybody else's."""
        if "user_unique_id" in self.kwargs:
            if wanted and wanted != self.kwargs["user_unique_id"] and not self.caller.is_admin:
                raise Forbidden("The token speaks for one user and cannot give a meeting to another.")
            if not wanted:
                return self.user_to_write()
        own = self.caller.user_unique_id
        name = wanted if wanted is not None or self.caller.is_admin else own
        if self.caller.is_admin and not name:
            return None
        if not name or not self.caller.may_reach(name):
            raise Forbidden("The token speaks for one user and cannot give a meeting to another.")
        user, _ = CrmUser.objects.get_or_create(company=self.company, unique_id=name)
        return user


class MeetingParticipantViewSet(ListModelMixin, RetrieveModelMixin, _Reachable):
    """Who takes part in a meeting. Of a booking, that is decided where it was booked."""

    queryset = MeetingParticipant.objects.select_related("meeting", "user")
    serializer_class = serializers.ParticipantSerializer
    resource_name = "meeting_participant"
    body_name = "participant"
    company_lookup = "meeting__company"
    filterable = {"role": "role", "rsvp_status": "rsvp_status", "status": _active}
    searchable = ("name", "email")
    sortable = {name: name for name in ("name", "email", "role", "created_at", "updated_at")}

    def get_queryset(self) -> QuerySet[MeetingParticipant]:
        return super().get_queryset().filter(meeting=self._meeting().pk)

    def create(self, request: Request, **kwargs: Any) -> Response:
        meeting = self._meeting()
        meetings.check_made_here(meeting)
        body = self.get_serializer(data=request.data)
        body.is_valid(raise_exception=True)
        person = self._person(body.validated_data)
        if not meetings.invite(meeting, [person], only=False, now=timezone.now()):
            raise ValidationError({"email": "They take part already."})
        row = self.get_queryset().get(email=person.email)
        return Response(self.get_serializer(row).data, status=statuses.HTTP_201_CREATED)

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        row: MeetingParticipant = self.get_object()
        meetings.check_made_here(row.meeting)
        meetings.uninvite(row.meeting, [row.email], now=timezone.now())
        return Response(status=statuses.HTTP_204_NO_CONTENT)

    def _meeting(self) -> Meeting:
        rows = self.reachable(Meeting.objects.filter(company=self.company, deleted_at=None))
        try:
            found = rows.filter(unique_id=self.kwargs["meeting_id"]).first()
        except (ValueError, DjangoValidationError):
            found = None
        if found is None:
            raise Http404
        return found

    def _person(self, given: dict[str, Any]) -> Participant:
        """With a user, where the id is one's of the company: the meeting takes their time. Only they themselves, or an
        administrator, give it away."""
        named = given.pop("contact_unique_id", "")
        user = CrmUser.objects.filter(company=self.company, unique_id=named).first() if named else None
        if user is not None and not self.caller.may_reach(user.unique_id):
            user = None
        email = given.pop("email") or (user.email.lower() if user else "")
        if not email:
            raise ValidationError({"email": "Give the participant's e-mail."})
        return Participant(email=email, user=user, contact_unique_id="" if user else named, **given)
