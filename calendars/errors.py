"""Why something asked of accounts, calendars or meetings cannot be done."""

from typing import ClassVar


class CalendarsError(Exception):
    """A request that was understood and cannot be carried out. `field`: what the client has to change."""

    code: ClassVar[str] = "calendars_error"
    field: str = ""


class AlreadyConnected(CalendarsError):
    """The change would make two accounts of the user the same connection."""

    code = "already_connected"

    def __init__(self, field: str) -> None:
        super().__init__("The user has another calendar account for this provider and address.")
        self.field = field


class MeetingEndsBeforeItStarts(CalendarsError):
    """A meeting's end lies before its start."""

    code = "meeting_ends_before_it_starts"
    field = "end_time"

    def __init__(self) -> None:
        super().__init__("The meeting ends before it starts.")
