"""What a member of staff sees: a superuser everything, others their company's rows, and without a company nothing.

Every admin page of the service stands on `CompanyScopedAdmin`: lists, forms, choices, autocomplete, actions, deletion
and history all start at its `get_queryset`, and whoever asks for another company's row is told that there is none.
"""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from django.contrib.admin.utils import quote
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import DateTimeField, Field, ForeignKey, Model, QuerySet, URLField
from django.db.models.deletion import CASCADE
from django.forms import Field as FormField
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.text import capfirst
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.widgets import UnfoldAdminTextInputWidget

from tenancy import audit
from tenancy.encryption import EncryptedJSONField
from tenancy.models import Company, Staff, Verb


def visible_rows(rows: QuerySet[Any], staff: Any, company_lookup: str | None) -> QuerySet[Any]:
    """Those of `rows` that this member of staff may see.

    company_lookup: the path to the row's company; None: rows of no company, which are the superusers' business.
    """
    if not isinstance(staff, Staff) or not staff.is_active or not staff.is_staff:
        return rows.none()
    if staff.is_superuser:
        return rows
    if staff.company_id is None or company_lookup is None:
        return rows.none()
    return rows.filter(**{company_lookup: staff.company_id})


def company_pk_of(request: HttpRequest) -> int | None:
    """The company of the staff who ask; None for superusers, and for whoever has not signed in."""
    return request.user.company_id if isinstance(request.user, Staff) else None


def without_secrets(rows: QuerySet[Any], related: Iterable[str] = ()) -> QuerySet[Any]:
    """The rows with the encrypted columns left in the database: theirs, and those of the `related` paths.

    A page that does not show them decrypts nothing, and still opens when a key is missing.
    """
    secrets = list(_secret_columns(rows.model))
    for path in related:
        model: Any = rows.model
        prefix = ""
        for name in path.split("__"):
            model = model._meta.get_field(name).related_model
            prefix += f"{name}__"
            secrets += [prefix + column for column in _secret_columns(model)]
    return rows.defer(*secrets) if secrets else rows


def _secret_columns(model: type[Model]) -> Iterator[str]:
    return (field.name for field in model._meta.local_fields if isinstance(field, EncryptedJSONField))


class AutocompleteFilter(AutocompleteSelectFilter):
    """A list filter by a related row, looked up as it is typed, that knows only the rows that the staff may see."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            # The chosen row is written out by name: without this, whoever guesses an id would read the name.
            choice["form"].fields[self.lookup_kwarg].queryset = self.model_admin.choices_of(
                self.field.related_model, self.request
            )
            yield choice


class BoundedPaginator(Paginator):
    """Counts and pages as far as anybody turns pages: the whole of a big table is never counted."""

    furthest = 10_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: self.furthest].count())


class CompanyScopedAdmin(ModelAdmin):
    """The rows of the staff's company.

    company_lookup: as for `visible_rows`. detail_actions: names of actions that stand as buttons on a row's own page
    too. one_line: texts of any length that are written on one line. A change writes only the columns that the form
    changed: the workers write to the same rows meanwhile.
    """

    company_lookup: ClassVar[str | None] = "company"
    detail_actions: ClassVar[tuple[str, ...]] = ()
    one_line: ClassVar[tuple[str, ...]] = ()

    paginator: Any = BoundedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_filter_submit = True
    list_fullwidth = True
    show_facets = ModelAdmin.show_facets.NEVER
    change_form_outer_before_template = "admin/buttons.html"

    # Rows ---------------------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = visible_rows(super().get_queryset(request), request.user, self.company_lookup)
        related = self.list_select_related or ()
        return without_secrets(rows.select_related(*related) if related else rows, related)

    def choices_of(self, model: type[Model], request: HttpRequest) -> QuerySet[Any]:
        """The rows of another model that the staff may choose from; none of a model that has no scope."""
        scoped = self.admin_site._registry.get(model)
        if isinstance(scoped, CompanyScopedAdmin):
            return scoped.get_queryset(request)
        return visible_rows(model._default_manager.all(), request.user, None)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # PostgreSQL knows no NUL in a text, and autocomplete hands over whatever the address says.
        found: tuple[QuerySet[Any], bool] = super().get_search_results(request, queryset, search_term.replace("\0", ""))
        return found

    # Who may ------------------------------------------------------------------------------------------------------

    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) and self._is_theirs(request, None)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and self._is_theirs(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and self._is_theirs(request, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._is_theirs(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._is_theirs(request, obj)

    def _is_theirs(self, request: HttpRequest, obj: Any) -> bool:
        """The last line: `get_queryset` has kept other companies' rows away long before."""
        if request.user.is_superuser:
            return True
        if self.company_lookup is None or company_pk_of(request) is None:
            return False
        if not isinstance(obj, Model):
            return True
        company: Any = obj
        for name in self.company_lookup.split("__"):
            if name != "pk":
                company = getattr(company, name, None)
        return isinstance(company, Company) and company.pk == company_pk_of(request)

    # Lists and forms ----------------------------------------------------------------------------------------------

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """Without the company where all rows are of one."""
        columns = list(super().get_list_display(request))
        return columns if request.user.is_superuser else [name for name in columns if name != "company"]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters = list(super().get_list_filter(request))
        if request.user.is_superuser and self.company_lookup not in {None, "pk"}:
            filters.insert(0, (self.company_lookup, AutocompleteFilter))
        return filters

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Nobody may ask in the address whether a stored secret begins with this or that."""
        if lookup.split("__", maxsplit=1)[0] in {*_secret_columns(self.model), "digest", "password"}:
            return False
        allowed: bool = super().lookup_allowed(lookup, value, request)
        return allowed

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        initial: dict[str, Any] = super().get_changeform_initial_data(request)
        if company_pk_of(request) is not None:
            initial.setdefault("company", company_pk_of(request))
        return initial

    def formfield_for_foreignkey(self, db_field: ForeignKey, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("queryset", self.choices_of(db_field.related_model, request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_manytomany(self, db_field: Any, request: Any = None, **kwargs: Any) -> Any:
        kwargs.setdefault("queryset", self.choices_of(db_field.related_model, request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Field, request: HttpRequest, **kwargs: Any) -> Any:
        if isinstance(db_field, URLField):
            # What an address without a scheme means.
            kwargs.setdefault("assume_scheme", "https")
        if db_field.name in self.one_line:
            kwargs.setdefault("widget", UnfoldAdminTextInputWidget)
        field: FormField | None = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and isinstance(db_field, DateTimeField):
            field.help_text = f"{field.help_text} In UTC.".strip()
        return field

    # Changes, each with its entry in the audit log. Who hands them to a service leaves that to the service. ----------

    def save_model(self, request: HttpRequest, obj: Any, form: Form, change: bool) -> None:
        if change:
            obj.save(update_fields=changed_columns(obj, form))
            audit.record_change(obj, *form.changed_data)
        else:
            obj.save()
            audit.record(obj, Verb.CREATED, *form.changed_data)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        audit.record(obj, Verb.DELETED)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        with transaction.atomic():
            for row in queryset:
                audit.record(row, Verb.DELETED)
            super().delete_queryset(request, queryset)

    # Actions ------------------------------------------------------------------------------------------------------

    def get_detail_actions(self, request: HttpRequest, obj: Any) -> tuple[str, ...]:
        """The actions that make sense for this row."""
        return self.detail_actions

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None:
            actions = self.get_actions(request)
            names = [name for name in self.get_detail_actions(request, obj) if name in actions]
            context["buttons"] = [{"name": name, "label": actions[name][2]} for name in names]
        response: HttpResponse = super().render_change_form(request, context, add, change, form_url, obj)
        return response

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any) -> Any:
        """As Django's; an action that a row's button called leads back to the row, unless it leads elsewhere itself."""
        response = super().response_action(request, queryset, *args, **kwargs)
        leads_back = isinstance(response, HttpResponseRedirect) and response.url == request.get_full_path()
        if "from_row" in request.POST and leads_back:
            return HttpResponseRedirect(change_url(self.model, request.POST.get("_selected_action", "")))
        return response

    # Deletion -----------------------------------------------------------------------------------------------------

    def get_deleted_objects(
        self, objs: Iterable[Any], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """What goes, in numbers: the rows themselves and what hangs on them. Thousands of names would help nobody.

        Whoever may delete the row may delete what only exists with it.
        """
        rows = list(objs)
        counts = {capfirst(self.opts.verbose_name_plural): len(rows), **self.dependents(rows)}
        refused = {str(self.opts.verbose_name) for row in rows if not self.has_delete_permission(request, row)}
        return [str(row) for row in rows], counts, refused, []

    def dependents(self, rows: list[Any]) -> dict[str, int]:
        """How many rows of which kind go with these."""
        counts = {}
        for relation in self.opts.related_objects:
            if getattr(relation, "on_delete", None) is CASCADE:
                model: Any = relation.related_model
                count = model._base_manager.filter(**{f"{relation.field.name}__in": rows}).count()
                if count:
                    counts[capfirst(model._meta.verbose_name_plural)] = count
        return counts


class ReadOnlyAdmin(CompanyScopedAdmin):
    """Rows that the service itself writes: to be looked at."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def changed_columns(obj: Model, form: Form) -> list[str]:
    """The columns that a form changed, and those that keep the time of a change."""
    columns = {field.name for field in obj._meta.concrete_fields}
    stamps = {field.name for field in obj._meta.concrete_fields if getattr(field, "auto_now", False)}
    return sorted((columns & set(form.changed_data)) | stamps)


def take_over(obj: Model, stored: Model) -> None:
    """Make the form's object the row that a service has written."""
    for field in stored._meta.concrete_fields:
        setattr(obj, field.attname, getattr(stored, field.attname))
    obj._state.adding = False


def change_url(model: type[Model], pk: Any) -> str:
    """The address of the row's admin page."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[quote(pk)])


def list_url(model: type[Model]) -> str:
    """The address of the model's admin list."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
