"""What the pages say of accounts and failures, in plain words and in the reader's language."""

from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from calendars.errors import AccessNotLasting, ScopesMissing, WrongAccount
from calendars.models import CalendarAccount, ProviderName
from calendars.providers import (
    AddressRefused,
    CalendarGone,
    Misconfigured,
    ReconnectNeeded,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)

# What became of somebody who went to a vendor, where no failure says it.
DENIED, FAILED = "denied", "failed"


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to connect a calendar. help: for whom it is."""

    provider: ProviderName
    title: str
    help: str


def choices() -> list[Choice]:
    """Every way that there is, the most common first."""
    return [
        Choice(ProviderName.GOOGLE, _("Google"), _("Gmail or Google Workspace")),
        Choice(ProviderName.OUTLOOK, _("Outlook"), _("Microsoft 365 or Outlook.com")),
        Choice(ProviderName.APPLE, _("Apple"), _("iCloud, with an app-specific password")),
        Choice(ProviderName.CALDAV, _("Another calendar"), _("Nextcloud, Fastmail, mailbox.org and others (CalDAV)")),
        Choice(ProviderName.ICS, _("Calendar address"), _("A link to a calendar that ends in .ics")),
    ]


def name_of(account: CalendarAccount) -> str:
    """What the account's kind is called where there are no others to choose from."""
    named = {ProviderName.CALDAV: "CalDAV", ProviderName.ICS: _("Calendar address")}
    return named.get(ProviderName(account.provider)) or str(account.get_provider_display())


def heading_of(choice: Choice) -> str:
    """Of the page on which it is connected."""
    own = {
        ProviderName.CALDAV: _("Connect another calendar"),
        ProviderName.ICS: _("Connect a calendar by its address"),
    }
    return own.get(choice.provider) or _("Connect %(title)s") % {"title": choice.title}


def heading_again(account: CalendarAccount) -> str:
    """Of the page on which an account is connected once more."""
    return _("Connect %(title)s again") % {"title": name_of(account)}


@dataclass(frozen=True, slots=True)
class Health:
    """How an account fares. tone: good, warn, bad or quiet. advice: what to do, or ""."""

    tone: str
    word: str
    advice: str = ""
    waits: bool = False
    again: bool = False


def health_of(account: CalendarAccount, *, held: int) -> Health:
    """held: events that vanished all at once and are kept for now."""
    if not account.sync_enabled:
        return Health("quiet", _("Paused"), _("Whoever looks after this service has paused it."))
    if account.last_error_code == ReconnectNeeded.code:
        return Health("bad", _("Connect again"), _failure(account.last_error_code), again=True)
    if account.last_error_code:
        return Health("warn", _("Not up to date"), _failure(account.last_error_code))
    if not account.connected:
        return Health("warn", _("Not finished"), _("Connecting was begun and not completed."), again=True)
    if account.last_synced_at is None:
        return Health("quiet", _("Being read"), _("The calendars are being read for the first time."), waits=True)
    if held:
        said = ngettext(
            "%(count)d event vanished at once. It stays until a second look confirms it.",
            "%(count)d events vanished at once. They stay until a second look confirms it.",
            held,
        )
        return Health("warn", _("Being checked"), said % {"count": held})
    return Health("good", _("Up to date"))


def _failure(code: str) -> str:
    known = {
        ReconnectNeeded.code: _(
            "The sign-in does not work any more: the password was changed, or access was withdrawn. What was read "
            "before stays until then."
        ),
        Unreachable.code: _("The calendar's server did not answer. It is tried again by itself."),
        Throttled.code: _("The calendar's server asked us to wait. It is tried again by itself."),
        Misconfigured.code: _("This service has to be set up anew for calendars of this kind. Tell whoever runs it."),
        AddressRefused.code: _("The calendar's address cannot be reached from here any more. Connect it again."),
        CalendarGone.code: _("The calendar is not where it was. It is tried again by itself."),
    }
    return known.get(code) or _("Reading it failed. It is tried again by itself.")


_NOT_A_CALENDAR = gettext_lazy(
    "Something answered at this address, but no calendar. Check it, or copy it anew from your calendar's settings."
)
# (provider, code of the failure) → (field, what to do); a provider of "" stands for all others.
_TRIALS = {
    (ProviderName.APPLE, ReconnectNeeded.code): (
        "password",
        gettext_lazy(
            "Apple does not accept this. Use an app-specific password, not the password of your Apple account, and the "
            "e-mail address that you sign in to Apple with."
        ),
    ),
    (ProviderName.ICS, ReconnectNeeded.code): (
        "url",
        gettext_lazy("This address asks for a password. Copy the calendar's private or secret address instead."),
    ),
    ("", ReconnectNeeded.code): (
        "password",
        gettext_lazy(
            "The server does not accept this user name and password. Check both. Where you sign in with a second "
            "step, make an app password there and use that."
        ),
    ),
    ("", Unreachable.code): ("address", gettext_lazy("No server answered at this address. Check how it is written.")),
    ("", AddressRefused.code): (
        "address",
        gettext_lazy("This address cannot be used: it does not lead to a server on the internet."),
    ),
    ("", CalendarGone.code): ("address", _NOT_A_CALENDAR),
    ("", UnexpectedAnswer.code): ("address", _NOT_A_CALENDAR),
    ("", Throttled.code): ("", gettext_lazy("The server asks us to wait. Try again in a minute.")),
    # Of what was typed; `BadProviderData` names the field.
    ("", "server_url"): ("address", gettext_lazy("This is no address that can be used. One begins with https://")),
    ("", "url"): (
        "address",
        gettext_lazy("This is no address that can be used. One begins with https:// or webcal://"),
    ),
    ("", "username"): (
        "username",
        gettext_lazy("A user name cannot hold a colon, and is not longer than 255 letters."),
    ),
    ("", "password"): ("password", gettext_lazy("This password cannot be used: it is empty, or much too long.")),
}


def trial_failure(provider: str, code: str) -> tuple[str, str]:
    """The field beside which it stands ("address": wherever the address was typed; "": none), and what to do."""
    field, said = _TRIALS.get((provider, code)) or _TRIALS.get(("", code)) or ("", "")
    return field, str(said) or _("That did not work. Try again in some minutes.")


def return_failure(code: str) -> str:
    """What to say to somebody who came back from a vendor without having connected anything; "" for no such code."""
    known = {
        DENIED: _("Access was not granted, so nothing was connected. You can try again at any time."),
        ScopesMissing.code: _(
            "Not every box was ticked: both the calendars and their events have to be read. Try again."
        ),
        WrongAccount.code: _("You signed in with another account than the one you named. Try again with that one."),
        AccessNotLasting.code: _("Access was given for an hour only. Try again, and agree to lasting access."),
        FAILED: _("Connecting did not work just now. Nothing was changed; try again in some minutes."),
    }
    return known.get(code, "")
