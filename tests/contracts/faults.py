"""The ways in which every vendor's answers go wrong, and what each of them means to the engine."""

from datetime import timedelta

from calendars.providers import CalendarGone, ProviderError, Throttled, UnexpectedAnswer, Unreachable
from tests.proxy import Canned
from tests.simulators.base import Fault, as_html, cut_off, truncated

WAIT = timedelta(seconds=120)

# How it goes wrong, and what the provider may call that; whatever it says, the read has no end.
WAYS: dict[str, tuple[type[ProviderError], ...]] = {
    "throttled": (Throttled,),
    "forbidden": (CalendarGone, UnexpectedAnswer),
    "a fault of theirs": (Unreachable,),
    "cut off": (Unreachable,),
    "malformed": (UnexpectedAnswer,),
    "a page for people": (UnexpectedAnswer,),
    "nothing at all": (UnexpectedAnswer,),
}


def over_http(**own: Fault) -> dict[str, Fault]:
    """The same as answers of an HTTP server; `own`: in the vendor's words, where it has some."""
    usual: dict[str, Fault] = {
        "throttled": Canned(429, headers={"Retry-After": "120"}),
        "forbidden": Canned(403),
        "a fault of theirs": Canned(500),
        "cut off": cut_off,
        "malformed": truncated,
        "a page for people": as_html,
        "nothing at all": Canned(200),
    }
    return usual | own
