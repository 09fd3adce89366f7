"""Meetings. What Cal.com booked changes at Cal.com; what was made here changes here, with its ledger row."""

from dataclasses import replace
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.admin import TabularInline
from unfold.decorators import display

from busyblocks import zones
from busyblocks.errors import UnknownZone
from calendars.models import Meeting, MeetingParticipant, MeetingUid
from calendars.models.meeting import MeetingStatus
from calendars.services import meetings as services
from calendars.services.meetings import FACT_FIELDS, Facts, Participant
from tenancy import audit
from tenancy.admin.scope import AutocompleteFilter, CompanyScopedAdmin, take_over

MANUAL = "manual"
_COLOURS = {
    MeetingStatus.SCHEDULED.label: "success",
    MeetingStatus.COMPLETED.label: "",
    MeetingStatus.CANCELLED.label: "danger",
    MeetingStatus.PENDING.label: "warning",
}


class MeetingForm(forms.ModelForm):
    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"]
        try:
            zones.zone(name)
        except UnknownZone:
            raise forms.ValidationError("Use an IANA time zone, for example Europe/Berlin.") from None
        return name

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        start, end = cleaned.get("start_time"), cleaned.get("end_time")
        if start and end and end < start:
            self.add_error("end_time", "The meeting ends before it starts.")
        return cleaned


class ParticipantInline(TabularInline):
    """Who takes part; of a booking, as its source says."""

    model = MeetingParticipant
    extra = 0
    fields = ("email", "name", "role", "rsvp_status")
    readonly_fields = ("rsvp_status",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_add_permission(request, obj) and _is_manual(obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _is_manual(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_manual(obj)


class UidInline(TabularInline):
    """The names that the meeting's source has used for it."""

    model = MeetingUid
    extra = max_num = 0
    can_delete = False
    fields = ("source", "uid", "cancelled_at", "superseded")
    readonly_fields = fields
    verbose_name_plural = "names at its source"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class TrashFilter(admin.SimpleListFilter):
    title = "trash"
    parameter_name = "trash"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("only", "In the trash"), ("with", "With the trash")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Meeting]) -> QuerySet[Meeting]:
        if self.value() == "with":
            return queryset
        return queryset.filter(deleted_at__isnull=self.value() != "only")


class UnmatchedFilter(admin.SimpleListFilter):
    title = "host"
    parameter_name = "host"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("unknown", "Matched to nobody")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Meeting]) -> QuerySet[Meeting]:
        return queryset.filter(user=None) if self.value() == "unknown" else queryset


@admin.register(Meeting)
class MeetingAdmin(CompanyScopedAdmin):
    """Which meetings are there, whose are they, and which bookings has nobody been matched to?"""

    form = MeetingForm
    list_display = ("titled", "user", "company", "start_time", "end_time", "state", "source", "organizer_email")
    list_select_related = ("user", "company")
    list_filter = (
        "status",
        ("user", AutocompleteFilter),
        UnmatchedFilter,
        TrashFilter,
        ("start_time", admin.DateFieldListFilter),
    )
    search_fields = ("title", "=unique_id", "=organizer_email", "=ical_uid", "=uids__uid", "=user__unique_id")
    ordering = ("-id",)
    one_line = ("title", "location", "meeting_url")
    autocomplete_fields = ("user",)
    inlines = (ParticipantInline, UidInline)
    actions = ("cancel",)
    fieldsets = (
        (None, {"fields": ("user", "title", "start_time", "end_time", "time_zone", "status")}),
        ("Place and purpose", {"fields": ("location", "meeting_url", "meeting_type", "description")}),
        ("Organizer", {"fields": ("organizer_name", "organizer_email")}),
        (
            "What became of it",
            {
                "fields": (
                    "started_at",
                    "ended_at",
                    "payment_status",
                    "recording_url",
                    "transcript_url",
                    "cancellation_reason",
                    "deleted_at",
                )
            },
        ),
        ("Identity", {"fields": ("source", "unique_id", "ical_uid", "sequence", "source_updated_at", "created_at")}),
    )
    readonly_fields = (
        "source",
        "unique_id",
        "ical_uid",
        "sequence",
        "source_updated_at",
        "created_at",
        "started_at",
        "ended_at",
        "payment_status",
        "recording_url",
        "transcript_url",
        "cancellation_reason",
        "deleted_at",
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.fieldsets if obj is not None else self.fieldsets[:-2]

    def get_inlines(self, request: HttpRequest, obj: Any = None) -> tuple[type[TabularInline], ...]:
        return (ParticipantInline,) if _is_manual(obj) else (ParticipantInline, UidInline)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _is_manual(obj)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Of a booking only its host is decided here."""
        if _is_manual(obj):
            return self.readonly_fields
        shown = {name for _, group in self.fieldsets for name in group["fields"]}
        return tuple(sorted(shown - {"user"}))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        if "user" in form.base_fields and _is_manual(obj):
            # A meeting made here makes somebody busy; only a booking may wait for its host.
            form.base_fields["user"].required = True
        return form

    @admin.display(description="Title", ordering="title")
    def titled(self, meeting: Meeting) -> str:
        return meeting.title or "(no title)"

    @display(description="Status", label=_COLOURS, ordering="status")
    def state(self, meeting: Meeting) -> str:
        return MeetingStatus(meeting.status).label

    def get_detail_actions(self, request: HttpRequest, obj: Meeting) -> tuple[str, ...]:
        return ("cancel",) if _is_manual(obj) and obj.status != MeetingStatus.CANCELLED else ()

    @admin.action(description="Cancel", permissions=["change"])
    def cancel(self, request: HttpRequest, chosen: QuerySet[Meeting]) -> None:
        now = timezone.now()
        ours = list(chosen.filter(source=MANUAL).exclude(status=MeetingStatus.CANCELLED))
        others = chosen.exclude(source=MANUAL).count()
        for meeting in ours:
            services.cancel(meeting, said_at=now, now=now)
        self.message_user(request, f"Meetings cancelled: {len(ours)}.", messages.SUCCESS)
        if others:
            self.message_user(request, f"Left to the source that booked them: {others}.", messages.WARNING)

    def save_model(self, request: HttpRequest, obj: Meeting, form: forms.Form, change: bool) -> None:
        now = timezone.now()
        if not _is_manual(obj):
            meeting = Meeting.objects.select_for_update().get(pk=obj.pk)
            take_over(obj, services.assign(meeting, to=obj.user, now=now))
            audit.record_change(obj, *form.changed_data)
            return
        facts = Facts(**{name: getattr(obj, name) for name in FACT_FIELDS})
        status = MeetingStatus(obj.status)
        assert obj.user is not None
        if change:
            # The form has written into `obj` already: the services compare with what is stored.
            meeting = Meeting.objects.select_for_update().get(pk=obj.pk)
            services.assign(meeting, to=obj.user, now=now)
            services.reschedule(meeting, facts=facts, status=status, said_at=now, now=now)
        else:
            meeting = services.schedule(
                obj.user.company, source=MANUAL, facts=facts, user=obj.user, status=status, said_at=now, now=now
            )
        take_over(obj, meeting)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """The people of a meeting, all at once."""
        formset.save(commit=False)
        if formset.model is not MeetingParticipant or not formset.has_changed():
            return
        rows = [data for data in formset.cleaned_data if data and not data.get("DELETE")]
        known = {row.email: row for row in form.instance.participants.select_related("user")}
        people = [_person(row, known.get(row["email"].lower())) for row in rows]
        services.invite(form.instance, people, only=True, now=timezone.now())

    def delete_model(self, request: HttpRequest, obj: Meeting) -> None:
        services.remove(obj, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Meeting]) -> None:
        for meeting in list(queryset):
            services.remove(meeting, now=timezone.now())


def _person(row: dict[str, Any], known: MeetingParticipant | None) -> Participant:
    """As the form has it; what it does not show stays."""
    person = Participant(email=row["email"].lower(), name=row["name"], role=row["role"])
    if known is None:
        return person
    kept = ("rsvp_status", "phone", "contact_unique_id", "no_show", "user")
    return replace(person, **{name: getattr(known, name) for name in kept})


def _is_manual(meeting: Meeting | None) -> bool:
    return meeting is None or meeting.source == MANUAL
