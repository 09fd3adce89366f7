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


class AuthorizationIncomplete(CalendarsError):
    """A user came back from a vendor, and what they brought is not enough to mirror the account."""

    code = "authorization_incomplete"
    field = "code"


class ScopesMissing(AuthorizationIncomplete):
    """Some of the boxes on the vendor's page were not ticked."""

    code = "scopes_missing"

    def __init__(self) -> None:
        super().__init__("Not all that was asked for was allowed: calendars and their events have to be read.")


class WrongAccount(AuthorizationIncomplete):
    """The user signed in to another account than the one to connect."""

    code = "wrong_account"
    field = "email"

    def __init__(self, email: str) -> None:
        super().__init__(f"Another account than {email} was chosen.")


class AccessNotLasting(AuthorizationIncomplete):
    """There is no refresh token: access would end within the hour."""

    code = "access_not_lasting"

    def __init__(self) -> None:
        super().__init__("The vendor gave access for an hour only.")


class MeetingIsBooked(CalendarsError):
    """A booking's time, words and people are another service's business."""

    code = "meeting_is_booked"

    def __init__(self, source: str) -> None:
        super().__init__(f"The meeting was booked at {source}: change it there. Here it can be given to another user.")
