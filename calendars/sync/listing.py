"""Which calendars an account has: the vendor's list, mirrored."""

from datetime import datetime

from django.conf import settings
from django.db import transaction

from busyblocks.models import Origin
from busyblocks.prepared import revised
from calendars.models import Calendar, CalendarAccount
from calendars.providers import RemoteCalendar
from calendars.sync import lease as leases
from calendars.sync.lease import Lease

# Whose choices are remembered, of calendars that are gone.
_MOST_FORMER = 500


def reconcile(lease: Lease, remote: list[RemoteCalendar], *, state: dict[str, object], now: datetime) -> None:
    """Make the account's calendars those that the vendor listed.

    New ones are mirrored from now on. One that is not listed any more keeps its rows until a listing
    BRAKE_CONFIRM_AFTER later does not show it either; one that comes back before loses nothing. One that comes back
    after is mirrored anew, or left out, as it was when it went. Raises `LeaseLost`.
    """
    with transaction.atomic():
        account = leases.lock(lease)
        known = {calendar.external_id: calendar for calendar in account.calendars.select_related("origin")}
        listed = {calendar.external_id: calendar for calendar in remote}
        for external_id, description in listed.items():
            if external_id in known:
                _describe(known[external_id], description)
            else:
                _add(account, description, mirrored=account.former_calendars.get(external_id, description.wanted))
        former = account.former_calendars | _retire(
            account, [known[external_id] for external_id in known.keys() - listed.keys()], now=now
        )
        former = {external_id: mirrored for external_id, mirrored in former.items() if external_id not in listed}
        CalendarAccount.objects.filter(pk=account.pk).update(
            discovered_at=now, provider_state=state, former_calendars=dict(list(former.items())[:_MOST_FORMER])
        )
        leases.renew(lease, now=now)


def _add(account: CalendarAccount, description: RemoteCalendar, *, mirrored: bool) -> None:
    origin = Origin.objects.create(
        user_id=account.user_id,
        source=account.provider,
        name=description.name[:255],
        time_zone=description.time_zone[:64],
    )
    Calendar.objects.create(
        account=account,
        origin=origin,
        external_id=description.external_id,
        name=description.name[:255],
        color=description.color[:32],
        time_zone=description.time_zone[:64],
        primary=description.primary,
        sync_enabled=mirrored,
    )


def _describe(calendar: Calendar, description: RemoteCalendar) -> None:
    wanted = {
        "name": description.name[:255],
        "color": description.color[:32],
        "time_zone": description.time_zone[:64],
        "primary": description.primary,
        "missing_since": None,
    }
    changed = {name: value for name, value in wanted.items() if getattr(calendar, name) != value}
    if not changed:
        return
    if "time_zone" in changed:
        # Floating times read differently now: everything has to be read again.
        changed["cursor"] = ""
    Calendar.objects.filter(pk=calendar.pk).update(**changed)
    Origin.objects.filter(pk=calendar.origin_id).update(name=wanted["name"], time_zone=wanted["time_zone"])


def _retire(account: CalendarAccount, missing: list[Calendar], *, now: datetime) -> dict[str, bool]:
    """Mark the missing, and forget those that are confirmed to be gone: which, and whether each was mirrored."""
    gone: dict[str, bool] = {}
    for calendar in missing:
        if calendar.missing_since is None:
            Calendar.objects.filter(pk=calendar.pk).update(missing_since=now)
        elif calendar.missing_since <= now - settings.BRAKE_CONFIRM_AFTER:
            gone[calendar.external_id] = calendar.sync_enabled
            calendar.origin.delete()
            revised(account.user_id, at=now)
    return gone
