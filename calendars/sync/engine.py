"""One account's sync, from lease to verdict.

1. Take the account's lease; without it, somebody else is at it.
2. Take up the runs that wait for the account; whoever asks from here on gets a pass of their own.
3. Ask the vendor which calendars there are, if that was long ago.
4. For each calendar: read it to its end onto a spool, then apply the spool in one transaction with its cursor.
5. Say on the account what came of it and when it is tried next; close the runs; give the lease back.

No vendor is ever called inside a transaction. Killed between any two steps, the lease expires, the sweep sends
another worker, and that one starts at the last committed cursor: nothing is lost, nothing is counted twice.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from busyblocks.models import BusyBlock
from calendars.models import Calendar, CalendarAccount, WithheldEvent
from calendars.providers import (
    Answer,
    CalendarGone,
    CalendarState,
    Connection,
    CursorLost,
    Delta,
    InternalFault,
    Mirrored,
    Misconfigured,
    NoSuchProvider,
    Page,
    Provider,
    ProviderError,
    ReconnectNeeded,
    Snapshot,
    Throttled,
    UnexpectedAnswer,
    provider_class,
)
from calendars.services import runs
from calendars.sync import health, listing, mirror
from calendars.sync import lease as leases
from calendars.sync.lease import Lease, LeaseLost
from calendars.sync.mirror import Changes
from calendars.sync.spool import Spool

log = structlog.get_logger("sync")

Clock = Callable[[], datetime]


@dataclass(slots=True)
class Verdict:
    """What a sync of an account came to. `failure` stopped it; `complaints` concern single calendars."""

    changes: Changes = field(default_factory=Changes)
    failure: ProviderError | None = None
    complaints: list[str] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        return self.failure is None and not self.complaints


def sync_account(account_pk: int, *, due_at: datetime | None = None, clock: Clock = timezone.now) -> Verdict | None:
    """Sync one account, and once more for each request that arrives meanwhile; the last verdict.

    None: there was nothing to do, or another worker is doing it. `due_at`: beat found the account due then; without
    a waiting run it is synced only if nobody has tried since (a message may come twice, or late).
    """
    verdict = None
    while True:
        lease = leases.acquire(account_pk, now=clock())
        if lease is None:
            return verdict
        try:
            if not _is_wanted(lease, due_at):
                leases.release(lease)
                return verdict
            verdict = _sync(lease, clock)
            leases.release(lease)
        except LeaseLost:
            log.warning("lease_lost", account=account_pk)
            return None


def _is_wanted(lease: Lease, due_at: datetime | None) -> bool:
    if runs.waiting(lease.account_pk).exists():
        return True
    if due_at is None:
        return False
    tried = CalendarAccount.objects.filter(pk=lease.account_pk).values_list("last_attempt_at", flat=True).first()
    return tried is None or tried < due_at


def _sync(lease: Lease, clock: Clock) -> Verdict:
    account_runs = runs.take_up(lease)
    run_pks = [account_run.pk for account_run in account_runs]
    force_refresh = any(account_run.run.force_refresh for account_run in account_runs)
    verdict = Verdict()
    try:
        account = _load(lease)
        health.say_attempt(lease, now=clock())
        _refuse_unready(account, now=clock())
        provider = _provider(account, lease, clock)
        _read_calendars(account, provider, verdict, lease, clock, run_pks=run_pks, force_refresh=force_refresh)
    except ProviderError as error:
        verdict.failure = error
    except LeaseLost:
        raise
    except Exception:
        # A bug of ours must not leave the account without a word, or its runs open for ever.
        log.exception("sync_crashed", account=lease.account_pk)
        verdict.failure = InternalFault("Something went wrong inside this service; it has been logged.")
    health.settle(lease, verdict.failure, verdict.complaints, held=bool(verdict.changes.held), now=clock())
    runs.close(account_runs, verdict.failure, verdict.complaints, now=clock())
    log.info(
        "account_synced" if verdict.succeeded else "account_sync_failed",
        account=lease.account_pk,
        code=verdict.failure.code if verdict.failure else "",
        created=verdict.changes.created,
        updated=verdict.changes.updated,
        deleted=verdict.changes.deleted,
        withheld=verdict.changes.withheld,
        held=verdict.changes.held,
    )
    return verdict


def _load(lease: Lease) -> CalendarAccount:
    try:
        account = CalendarAccount.objects.filter(pk=lease.account_pk, fence=lease.fence).first()
    except InvalidToken:
        raise Misconfigured("The stored credentials cannot be decrypted with the configured keys.") from None
    if account is None:
        raise LeaseLost
    return account


def _refuse_unready(account: CalendarAccount, *, now: datetime) -> None:
    if not account.connected:
        raise ReconnectNeeded(account.last_error or "The account has not been connected yet.")
    if account.vendor_retry_at is not None and account.vendor_retry_at > now:
        raise Throttled(
            f"The server asked to be left alone until {account.vendor_retry_at:%H:%M} UTC.",
            retry_after=account.vendor_retry_at - now,
        )


def _provider(account: CalendarAccount, lease: Lease, clock: Clock) -> Provider:
    renewed = clock()

    def checkpoint() -> None:
        nonlocal renewed
        now = clock()
        if now - renewed > settings.SYNC_LEASE / 4:
            leases.renew(lease, now=now)
            renewed = now

    try:
        backend = provider_class(account.provider)
    except NoSuchProvider:
        raise Misconfigured(f"This service is not set up for {account.get_provider_display()}.") from None
    return backend(
        Connection(
            email=account.email,
            credentials=account.credentials or {},
            state=account.provider_state,
            checkpoint=checkpoint,
        )
    )


def _read_calendars(
    account: CalendarAccount,
    provider: Provider,
    verdict: Verdict,
    lease: Lease,
    clock: Clock,
    *,
    run_pks: list[int],
    force_refresh: bool,
) -> None:
    discovered = account.discovered_at
    if force_refresh or discovered is None or discovered < clock() - settings.DISCOVERY_MAX_AGE:
        remote = provider.calendars()
        listing.reconcile(lease, remote, state=provider.state(), now=clock())
    for calendar in account.calendars.filter(sync_enabled=True).order_by("pk"):
        if calendar.missing_since is not None:
            # The list is asked again until it shows the calendar, or confirms that it is gone.
            health.ask_for_listing(lease)
            _complain(verdict, calendar, _MISSING)
            continue
        try:
            changes = _read_calendar(calendar, provider, lease, clock, run_pks=run_pks, force_refresh=force_refresh)
        except CalendarGone as error:
            # It may have moved: the next sync asks for the list, which decides.
            health.ask_for_listing(lease)
            _complain(verdict, calendar, error.reason)
            continue
        except UnexpectedAnswer as error:
            _complain(verdict, calendar, error.reason)
            continue
        verdict.changes += changes
        if changes.held:
            _complain(verdict, calendar, _HELD.format(rows=changes.held))


_MISSING = (
    "The server does not list this calendar any more. Its events are kept until a listing ten minutes later agrees."
)
_HELD = (
    "The server does not show {rows} entries any more. They are kept until a full read ten minutes later agrees, or "
    "until an administrator clears the brake."
)


def _complain(verdict: Verdict, calendar: Calendar, reason: str) -> None:
    Calendar.objects.filter(pk=calendar.pk).update(last_error=reason)
    verdict.complaints.append(f"{calendar}: {reason}")


def _read_calendar(
    calendar: Calendar,
    provider: Provider,
    lease: Lease,
    clock: Clock,
    *,
    run_pks: list[int],
    force_refresh: bool,
) -> Changes:
    """Read to the end, then apply. A cursor that the vendor has lost is given up for a full read, once."""
    cursor = "" if force_refresh else calendar.cursor
    try:
        return _read(calendar, cursor, provider, lease, clock, run_pks)
    except CursorLost as error:
        if not cursor:
            raise UnexpectedAnswer("The server refused even a full read.") from error
        log.info("cursor_lost", calendar=calendar.pk)
        return _read(calendar, "", provider, lease, clock, run_pks)


def _read(
    calendar: Calendar, cursor: str, provider: Provider, lease: Lease, clock: Clock, run_pks: list[int]
) -> Changes:
    state = CalendarState(
        external_id=calendar.external_id,
        time_zone=calendar.time_zone,
        cursor=cursor,
        etags=lambda: _etags(calendar),
        mirrored=lambda ids: _mirrored(calendar, ids),
    )
    with Spool() as spool:
        end: Answer | None = None
        for answer in provider.changes(state):
            if end is not None:
                raise UnexpectedAnswer("The answer went on after its end.")
            if isinstance(answer, Page):
                spool.add(answer)
            else:
                end = answer
        if not isinstance(end, Snapshot | Delta):
            raise UnexpectedAnswer("The answer stopped before its end.")
        return mirror.apply(calendar, spool, end, lease=lease, run_pks=run_pks, now=clock())


def _etags(calendar: Calendar) -> dict[str, str]:
    """Event id → the remote's version, of everything mirrored or withheld."""
    known = dict(
        BusyBlock.objects.filter(origin=calendar.origin_id, absent_since=None)
        .values_list("external_event_id", "etag")
        .iterator(chunk_size=5000)
    )
    known.update(WithheldEvent.objects.filter(calendar=calendar).values_list("external_event_id", "etag"))
    return known


def _mirrored(calendar: Calendar, ids: Collection[str]) -> list[Mirrored]:
    """What is stored under these event ids, and the instances of these series."""
    wanted = list(ids)
    found: list[Mirrored] = []
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        of_series = ~Q(series_id="") & Q(series_id__in=some)
        rows = BusyBlock.objects.filter(Q(external_event_id__in=some) | of_series, origin=calendar.origin_id)
        found.extend(Mirrored(*values) for values in rows.order_by().values_list(*Mirrored._fields))
    return found
