"""Questions about time: free/busy of one user or several, slots to book, and working hours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404
from django.utils import timezone
from rest_framework import status
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ValidationError
from rest_framework.settings import api_settings

from busyblocks import availability, filters, freebusy, moments, working_hours, zones
from busyblocks.availability import Person, Wish
from busyblocks.errors import BudgetExceeded
from busyblocks.freebusy import Period
from busyblocks.models import BusyBlock, FreeBusyType, WorkingHours
from busyblocks.questions import (
    AvailabilityQuestion,
    AvailabilitySerializer,
    SpanQuestion,
    UserFreeBusySerializer,
    WorkingHoursSerializer,
)
from busyblocks.serializers import FreeBusySerializer
from busyblocks.timespans import EARLIEST, LATEST, Span, Stretch, moment
from busyblocks.vfreebusy import VFreeBusyRenderer
from tenancy import audit
from tenancy.models import Company, CrmUser
from tenancy.permissions import MayAsk
from tenancy.viewsets import TenantViewSet

MAX_SLOTS = 2_000
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why there is no answer for a user."""

    user_unique_id: str
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class FreeBusy:
    """The answer to one question. `pk`: what the JSON:API renderer takes for the resource's id."""

    pk: str
    user_unique_id: str
    start_time: datetime
    end_time: datetime
    time_zone: str
    periods: list[Period]
    # Whether the zone was asked for, so that times are told in it, too.
    local: bool = False
    errors: tuple[Problem, ...] = ()


class FreeBusyViewSet(TenantViewSet):
    """When the user is taken. Somebody of whom nothing is known is free."""

    queryset = BusyBlock.objects.all()
    serializer_class = FreeBusySerializer
    resource_name = "free_busy"
    # The settings hold the classes, whatever their type says.
    renderer_classes = [*api_settings.DEFAULT_RENDERER_CLASSES, VFreeBusyRenderer]  # type: ignore[list-item]

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        query = request.query_params
        asked = filters.zone_asked(query)
        span = filters.span_required(query)
        user = _with_horizons(self.company).filter(unique_id=self.kwargs["user_unique_id"]).first()
        try:
            found = freebusy.periods(user, span.start, span.end, query.get("time_zone", "")) if user else []
        except BudgetExceeded as error:
            raise ValidationError({"end_time": str(error)}) from None
        name = self.kwargs["user_unique_id"]
        zone_name = str(asked) if asked else _own_zone(user)
        answer = FreeBusy(name, name, span.start, span.end, zone_name, found, bool(asked))
        return Response(self.get_serializer(answer).data)


class FreeBusyTextViewSet(FreeBusyViewSet):
    """The same as iCalendar, for programs that ask for an address and send no Accept: `….ifb` (RFC 5545 §8.1)."""

    renderer_classes = [VFreeBusyRenderer]

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        return VFreeBusyRenderer(), VFreeBusyRenderer.media_type


class Asked(TenantViewSet):
    """A question about the users that its body names."""

    queryset = BusyBlock.objects.all()
    permission_classes = [MayAsk]

    def users(self, names: Sequence[str]) -> tuple[dict[str, CrmUser | None], list[Problem]]:
        """The users whom the caller may ask about, by name, unknown ones as None; and what of the others."""
        problems = [
            Problem(name, "forbidden", "The token may not reach this user.")
            for name in names
            if not self.caller.may_reach(name)
        ]
        refused = {problem.user_unique_id for problem in problems}
        reached = [name for name in names if name not in refused]
        known = {user.unique_id: user for user in _with_horizons(self.company).filter(unique_id__in=reached)}
        return {name: known.get(name) for name in reached}, problems

    def told(
        self, users: dict[str, CrmUser | None], answer: Callable[[list[CrmUser]], dict[int, list[_T]]]
    ) -> tuple[dict[str, list[_T]], list[Problem]]:
        """By name, what `answer` says of them by key; and whose time is too much work to tell."""
        known = [user for user in users.values() if user is not None]
        found: dict[int, list[_T]] = {}
        problems: list[Problem] = []
        try:
            found = answer(known)
        except BudgetExceeded:
            for user in known:
                try:
                    found |= answer([user])
                except BudgetExceeded as error:
                    problems.append(Problem(user.unique_id, error.code, str(error)))
        by_name = {name: found.get(user.pk) if user else [] for name, user in users.items()}
        return {name: each for name, each in by_name.items() if each is not None}, problems


class FreeBusyOfManyViewSet(Asked):
    """When each of several users is taken, one result per user, in the order of the question."""

    serializer_class = UserFreeBusySerializer
    resource_name = "free_busy"

    def ask(self, request: Request, **kwargs: Any) -> Response:
        body = SpanQuestion(data=request.data)
        body.is_valid(raise_exception=True)
        asked, span, time_zone = body.validated_data, body.validated_data["span"], body.validated_data.get("time_zone")
        users, refused = self.users(asked["user_unique_ids"])
        found, failed = self.told(users, lambda known: freebusy.of_users(known, span, time_zone or ""))
        problems = {problem.user_unique_id: problem for problem in (*refused, *failed)}
        answers = []
        for name in asked["user_unique_ids"]:
            user, problem = users.get(name), problems.get(name)
            zone_name = time_zone or _own_zone(user)
            errors = (problem,) if problem else ()
            periods, local = found.get(name, []), bool(time_zone)
            answers.append(FreeBusy(name, name, span.start, span.end, zone_name, periods, local, errors))
        return Response(self.get_serializer(answers, many=True).data)


class AvailabilityViewSet(Asked):
    """Slots that could be booked with all of the users, or with any of them."""

    serializer_class = AvailabilitySerializer
    resource_name = "availability"

    def ask(self, request: Request, **kwargs: Any) -> Response:
        body = AvailabilityQuestion(data=request.data)
        body.is_valid(raise_exception=True)
        asked = body.validated_data
        span: Span = asked["span"]
        time_zone = asked.get("time_zone") or ""
        before, after = body.minutes("buffer_before"), body.minutes("buffer_after")
        users, problems = self.users(asked["user_unique_ids"])
        wide = Span(max(span.start - before, EARLIEST), min(span.end + after, LATEST))
        free = {FreeBusyType.BUSY_TENTATIVE} if asked["tentative_is_free"] else set()
        found, failed = self.told(users, lambda known: freebusy.taken_of_users(known, wide, time_zone, free=free))
        problems += failed
        hours = self._hours(users, body.windows(), span)
        people = {name: Person(taken, hours[name]) for name, taken in found.items()}
        tz: tzinfo = zones.zone(time_zone) if time_zone else UTC
        wish = Wish(
            span=span,
            duration=body.minutes("duration"),
            step=body.minutes("step"),
            zone=tz,
            earliest=timezone.now() + body.minutes("minimum_notice"),
            before=before,
            after=after,
            together=asked["quorum"] == "all",
        )
        # Who cannot be asked is not known to be free: then not all are.
        hopeless = wish.together and bool(problems)
        slots = [] if hopeless else availability.slots(people, wish, limit=MAX_SLOTS + 1)
        answer = {
            "id": "availability",
            "start_time": span.start,
            "end_time": span.end,
            "time_zone": time_zone or "UTC",
            "slots": [_slot(slot, tz) for slot in slots[:MAX_SLOTS]],
            "truncated": len(slots) > MAX_SLOTS,
            "errors": problems,
        }
        return Response(self.get_serializer(answer).data)

    def _hours(
        self, users: dict[str, CrmUser | None], given: tuple[working_hours.Window, ...] | None, span: Span
    ) -> dict[str, list[Stretch] | None]:
        if given is not None:
            common = working_hours.stretches(given, span) if given else None
            return dict.fromkeys(users, common)
        rows = WorkingHours.objects.filter(user__in=[user for user in users.values() if user]).select_related("user")
        hours: dict[str, list[Stretch] | None] = dict.fromkeys(users)
        # Most of a team have the same.
        made: dict[tuple[working_hours.Window, ...], list[Stretch]] = {}
        for row in rows:
            windows = working_hours.stored(row.windows, row.time_zone)
            if windows not in made:
                made[windows] = working_hours.stretches(windows, span)
            hours[row.user.unique_id] = made[windows]
        return hours


def _with_horizons(company: Company) -> QuerySet[CrmUser]:
    """The company's users, each read together with what is prepared of their time: no further query asks for it."""
    return CrmUser.objects.filter(company=company).select_related("horizon")


def _own_zone(user: CrmUser | None) -> str:
    name = user.time_zone if user else ""
    return name if name in zones.names() else "UTC"


def _slot(slot: availability.Slot, tz: tzinfo) -> dict[str, Any]:
    return {
        "start_time": moments.of_seconds(slot.since),
        "end_time": moments.of_seconds(slot.until),
        "local_start": moment(slot.since).astimezone(tz).isoformat(),
        "local_end": moment(slot.until).astimezone(tz).isoformat(),
        "user_unique_ids": slot.who,
    }


class WorkingHoursViewSet(TenantViewSet):
    """When the user may be booked, week by week."""

    queryset = WorkingHours.objects.select_related("user")
    serializer_class = WorkingHoursSerializer
    resource_name = "working_hours"
    company_lookup = "user__company"

    def retrieve(self, request: Request, **kwargs: Any) -> Response:
        return Response(self.get_serializer(self.get_object()).data)

    def update(self, request: Request, **kwargs: Any) -> Response:
        """All of the hours, new or in place of the old."""
        body = WorkingHoursSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        with transaction.atomic():
            user = self.user_to_write()
            row, _ = WorkingHours.objects.update_or_create(user=user, defaults=body.validated_data)
            audit.record_change(user, "working_hours")
        return Response(self.get_serializer(row).data)

    def destroy(self, request: Request, **kwargs: Any) -> Response:
        """Back to any time."""
        hours = self.get_object()
        with transaction.atomic():
            hours.delete()
            audit.record_change(hours.user, "working_hours")
        return Response(status=status.HTTP_204_NO_CONTENT)

    def get_object(self) -> WorkingHours:
        found: WorkingHours | None = self.get_queryset().first()
        if found is None:
            raise Http404
        return found
