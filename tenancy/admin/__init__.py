"""The admin of companies, their keys and people, and the scope that every admin page of the service starts from."""

from tenancy.admin.audit import AuditEntryAdmin
from tenancy.admin.companies import ApiKeyAdmin, CompanyAdmin
from tenancy.admin.scope import AutocompleteFilter, CompanyScopedAdmin, ReadOnlyAdmin, visible_rows
from tenancy.admin.staff import GroupAdmin, StaffAdmin
from tenancy.admin.users import CrmUserAdmin

__all__ = [
    "ApiKeyAdmin",
    "AuditEntryAdmin",
    "AutocompleteFilter",
    "CompanyAdmin",
    "CompanyScopedAdmin",
    "CrmUserAdmin",
    "GroupAdmin",
    "ReadOnlyAdmin",
    "StaffAdmin",
    "visible_rows",
]
