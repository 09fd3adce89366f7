"""Why a delivery of Cal.com leads to nothing. Sending it again does not help."""

from typing import ClassVar


class CalcomError(Exception):
    """A delivery that cannot be worked off."""

    code: ClassVar[str] = "calcom_error"


class UnreadableBody(CalcomError):
    """The body is none of the forms that Cal.com sends."""

    code = "unreadable_body"


class NotABooking(CalcomError):
    """The trigger speaks of a booking and the payload does not say which or when."""

    code = "not_a_booking"
