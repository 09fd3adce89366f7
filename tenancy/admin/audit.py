"""The audit log, to be read."""

from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from tenancy.admin.scope import ReadOnlyAdmin
from tenancy.models import AuditEntry, Verb

_COLOURS = {
    Verb.CREATED.label: "success",
    Verb.CONNECTED.label: "success",
    Verb.ISSUED.label: "success",
    Verb.DELETED.label: "danger",
    Verb.BRAKE_CLEARED.label: "danger",
    Verb.ROTATED.label: "warning",
    Verb.CHANGED.label: "info",
}


class KindFilter(admin.SimpleListFilter):
    """By the kind of row, of the kinds that the admin knows: a big log is not searched for those that occur."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        kinds = [
            (model._meta.label_lower, str(capfirst(model._meta.verbose_name)))
            for model in model_admin.admin_site._registry
        ]
        return sorted(kinds, key=lambda kind: kind[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset.filter(target_model=self.value()) if self.value() else queryset


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """Who changed which account, token, key or setting, when, and from where?"""

    list_display = ("at", "company", "who", "by_way_of", "done", "kind", "target", "changed", "address")
    list_select_related = ("company",)
    list_filter = ("verb", "actor_kind", KindFilter, ("at", admin.DateFieldListFilter))
    search_fields = ("=actor", "=target_id", "=address", "=target")
    search_help_text = _("A name, an id or an address, as a whole.")
    ordering = ("-id",)
    fields = ("at", "company", "who", "by_way_of", "address", "done", "kind", "target", "target_id", "changed")
    readonly_fields = fields

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change a company may read what was changed."""
        return bool(request.user.has_perm("tenancy.change_company")) and self._is_theirs(request, obj)

    @admin.display(description=_("Who"), ordering="actor")
    def who(self, entry: AuditEntry) -> str:
        return entry.actor or "–"

    @admin.display(description=_("By way of"), ordering="actor_kind")
    def by_way_of(self, entry: AuditEntry) -> str:
        kind = str(entry.get_actor_kind_display())
        return f"{kind} (…{entry.api_key})" if entry.api_key else kind

    @display(description=_("What"), label=_COLOURS, ordering="verb")
    def done(self, entry: AuditEntry) -> str:
        return str(entry.get_verb_display())

    @admin.display(description=_("Kind"), ordering="target_model")
    def kind(self, entry: AuditEntry) -> str:
        try:
            return str(capfirst(apps.get_model(entry.target_model)._meta.verbose_name))
        except LookupError:
            return entry.target_model

    @admin.display(description=_("Fields"))
    def changed(self, entry: AuditEntry) -> str:
        return ", ".join(entry.fields)
