"""The people who sign in to the admin."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group, Permission
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from tenancy.admin.scope import CompanyScopedAdmin
from tenancy.models import Staff

# What new staff of a company may do with the rows of that company; a superuser changes it under "Groups".
COMPANY_GROUP = "Company administrators"
_APPS = ("tenancy", "busyblocks", "calendars", "icsfeeds", "integrations")
_NOT_THEIRS = ("add_company", "delete_company", "add_staff", "change_staff", "delete_staff")


def company_administrators() -> Group:
    """The group that new staff of a company join; made, with its permissions, when it is first needed."""
    group, made = Group.objects.get_or_create(name=COMPANY_GROUP)
    if made:
        group.permissions.set(
            Permission.objects.filter(content_type__app_label__in=_APPS).exclude(codename__in=_NOT_THEIRS)
        )
    return group


class _OneOrAll(forms.ModelForm):
    """Staff administer one company, or as superusers all: anything between would show them nothing."""

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        company, everything = cleaned.get("company"), cleaned.get("is_superuser")
        if everything and company:
            self.add_error("company", "A superuser sees all companies: leave this empty.")
        if not everything and not company and "company" not in self.errors:
            self.add_error("company", "Choose the company that they administer, or make them a superuser.")
        return cleaned


class StaffChangeForm(_OneOrAll, UserChangeForm):
    class Meta(UserChangeForm.Meta):
        model = Staff


class StaffCreationForm(_OneOrAll, UserCreationForm):
    class Meta(UserCreationForm.Meta):
        model = Staff


@admin.register(Staff)
class StaffAdmin(CompanyScopedAdmin, UserAdmin):
    """Who signs in here, and to which company?

    Staff of a company see their colleagues; only superusers change them: whoever could set a colleague's password or
    company could take what is not theirs.
    """

    form = StaffChangeForm
    add_form = StaffCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "first_name", "last_name", "company", "is_superuser", "is_active", "last_login")
    list_select_related = ("company",)
    list_filter = ("is_superuser", "is_active")
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)
    autocomplete_fields = ("company",)
    filter_horizontal = ()
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email", "last_login", "date_joined")}),
        ("What they may do", {"fields": ("company", "is_superuser", "is_active", "groups")}),
    )
    add_fieldsets = ((None, {"fields": ("username", "company", "is_superuser", "password1", "password2")}),)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Colleagues see names, and not even the salt of a password."""
        if request.user.is_superuser:
            return super().get_fieldsets(request, obj)
        return ((None, {"fields": ("username", "first_name", "last_name", "email", "is_active", "last_login")}),)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def save_model(self, request: HttpRequest, obj: Staff, form: forms.Form, change: bool) -> None:
        if not change:
            obj.is_staff = True
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        if not change and form.instance.company_id is not None:
            form.instance.groups.add(company_administrators())


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(CompanyScopedAdmin, DjangoGroupAdmin):
    """What may the members of a group do? They do it to their own company's rows."""

    company_lookup = None
    search_fields = ("name",)
    filter_horizontal = ("permissions",)
