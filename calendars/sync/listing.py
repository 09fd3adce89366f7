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


def reconcile(lease: Lease, remote: list[RemoteCalendar], *, state: dict[str, object], now: datetime) -> None:
    """Make the account's calendars those that the vendor listed.

    New ones are mirrored from now on. One that is not listed any more keeps its rows until a listing
    BRAKE_CONFIRM_AFTER later does not show it either; one that comes back loses nothing. Raises `LeaseLost`.
    """
    with transaction.atomic():
        account = leases.lock(lease)
        known = {calendar.external_id: calendar for calendar in account.calendars.select_related("origin")}
        listed = {calendar.external_id: calendar for calendar in remote}
        for external_id, description in listed.items():
            if external_id in known:
                _describe(known[external_id], description)
            else:
                _add(account, description)
        _retire(account, [known[external_id] for external_id in known.keys() - listed.keys()], now=now)
        CalendarAccount.objects.filter(pk=account.pk).update(discovered_at=now, provider_state=state)
        leases.renew(lease, now=now)


def _add(account: CalendarAccount, description: RemoteCalendar) -> None:
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
        sync_enabled=description.wanted,
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


def _retire(account: CalendarAccount, missing: list[Calendar], *, now: datetime) -> None:
    for calendar in missing:
        if calendar.missing_since is None:
            Calendar.objects.filter(pk=calendar.pk).update(missing_since=now)
        elif calendar.missing_since <= now - settings.BRAKE_CONFIRM_AFTER:
            calendar.origin.delete()
            revised(account.user_id, at=now)
