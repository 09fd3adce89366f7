"""What is mirrored and how: accounts, their calendars, the runs of the mirror, and meetings."""

from calendars.models.absence import Absence
from calendars.models.account import CalendarAccount, ProviderName
from calendars.models.calendar import Calendar, WithheldEvent
from calendars.models.farewell import Farewell
from calendars.models.meeting import Meeting, MeetingParticipant, MeetingUid
from calendars.models.push_channel import PushChannel
from calendars.models.sync_run import AccountRun, CalendarRun, RunState, SyncHour, SyncRun

__all__ = [
    "Absence",
    "AccountRun",
    "Calendar",
    "CalendarAccount",
    "CalendarRun",
    "Farewell",
    "Meeting",
    "MeetingParticipant",
    "MeetingUid",
    "ProviderName",
    "PushChannel",
    "RunState",
    "SyncHour",
    "SyncRun",
    "WithheldEvent",
]
