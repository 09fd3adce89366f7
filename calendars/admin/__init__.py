"""The admin of the mirror: accounts, calendars, runs, what was withheld, meetings, and absences."""

from calendars.admin.absences import AbsenceAdmin
from calendars.admin.accounts import CalendarAccountAdmin
from calendars.admin.calendars import CalendarAdmin, WithheldEventAdmin
from calendars.admin.meetings import MeetingAdmin
from calendars.admin.runs import AccountRunAdmin, SyncRunAdmin

__all__ = [
    "AbsenceAdmin",
    "AccountRunAdmin",
    "CalendarAccountAdmin",
    "CalendarAdmin",
    "MeetingAdmin",
    "SyncRunAdmin",
    "WithheldEventAdmin",
]
