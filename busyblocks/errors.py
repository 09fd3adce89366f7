"""Why the ledger says no."""

from datetime import timedelta
from typing import ClassVar


class LedgerError(Exception):
    """Something was asked of the ledger that it does not do. The text is for the caller to read."""

    code: ClassVar[str] = "ledger_error"


class UnknownZone(LedgerError):
    """The name is not one of the IANA time zones."""

    code = "unknown_time_zone"

    def __init__(self, name: str) -> None:
        super().__init__(f"{name[:64]!r} is not an IANA time zone, for example Europe/Berlin.")


class RuleRefused(LedgerError):
    """A recurrence rule that is not RFC 5545, or that this service does not expand."""

    code = "recurrence_rule_refused"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BudgetExceeded(LedgerError):
    """Expanding the series of this span takes more work than one request may cost."""

    code = "too_much_recurrence"

    def __init__(self) -> None:
        super().__init__("The recurring entries of this span are too many to expand; ask for a shorter span.")


class SpanTooWide(LedgerError):
    """The span is longer than one question may cover."""

    code = "span_too_wide"

    def __init__(self, longest: timedelta) -> None:
        super().__init__(f"The span may cover at most {longest.days} days.")


class BlockIsMirrored(LedgerError):
    """The row is a copy of something kept elsewhere; a change here would be lost or contradict it."""

    code = "read_only"

    def __init__(self, where: str) -> None:
        super().__init__(f"This busy block cannot be changed here: {where}.")


class InstanceUnknown(LedgerError):
    """The series has no such instance, or has it no more."""

    code = "instance_unknown"

    def __init__(self) -> None:
        super().__init__("The series has no such instance.")
