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
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from cryptography.fernet import InvalidToken
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Case, Exists, Q, When
from django.utils import timezone

from busyblocks.models import BusyBlock
from calendars.models import AccountRun, Calendar, CalendarAccount, WithheldEvent
from calendars.providers import (
    Answer,
    CalendarGone,
    CalendarState,
    CursorLost,
    Delta,
    InternalFault,
    Mirrored,
    Misconfigured,
    Page,
    Provider,
    ProviderError,
    ReconnectNeeded,
    ServerFault,
    Snapshot,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
)
from calendars.services import calendar_runs, hours, push, runs
from calendars.services.connections import open_provider
from calendars.services.credentials import TokenKeeper
from calendars.sync import health, listing, mirror
from calendars.sync import lease as leases
from calendars.sync.heartbeat import heartbeat
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
            reasons = _reasons(account_pk)
            if reasons.asked_for or reasons.still_due(due_at):
                verdict = _sync(lease, clock, runs.take_up(lease) if reasons.run_waits else [])
                push.seen(account_pk, reasons.told)
                # Beat has its answer, also where the account could not even be tried.
                due_at = None
            leases.release(lease)
        except LeaseLost:
            log.warning("lease_lost", account=account_pk)
            return None
        # Who asked between that look and the release found the lease taken and left.
        if not _reasons(account_pk).asked_for:
            return verdict


@dataclass(frozen=True, slots=True)
class _Reasons:
    """Why an account would be synced. told: how many messages of its vendor came, 0 where a sync saw to all."""

    run_waits: bool = False
    told: int = 0
    tried_at: datetime | None = None

    @property
    def asked_for(self) -> bool:
        return self.run_waits or bool(self.told)

    def still_due(self, due_at: datetime | None) -> bool:
        return due_at is not None and (self.tried_at is None or self.tried_at < due_at)


def _reasons(account_pk: int) -> _Reasons:
    """One query: polls of accounts of which there is nothing new to say are most of what a worker does."""
    row = (
        CalendarAccount.objects.filter(pk=account_pk)
        .annotate(run_waits=Exists(runs.waiting(account_pk)))
        .values_list("run_waits", "push_told", "push_seen", "last_attempt_at")
        .first()
    )
    if row is None:
        return _Reasons()
    run_waits, told, seen, tried_at = row
    return _Reasons(run_waits, told if told > seen else 0, tried_at)


def _sync(lease: Lease, clock: Clock, account_runs: list[AccountRun]) -> Verdict:
    began = clock()
    verdict = Verdict()
    company_pk = None
    keeper = TokenKeeper(lease.account_pk, clock=clock)
    try:
        account = _load(lease)
        company_pk = account.company_id
        keeper.know(account)
        if not account.sync_enabled:
            runs.close(account_runs, None, [_SWITCHED_OFF], now=clock())
            return verdict
        _refuse_unready(account, now=clock())
        health.say_attempt(lease, now=clock())
        with heartbeat(lease, clock=clock) as checkpoint:
            keeper.checkpoint = checkpoint
            provider = open_provider(account, keeper)
            _read_calendars(_Pass(account, provider, lease, clock, account_runs, verdict))
    except ProviderError as error:
        verdict.failure = error
    except LeaseLost:
        raise
    except Exception:
        # A bug of ours must not leave the account without a word, or its runs open for ever.
        log.exception("sync_crashed", account=lease.account_pk)
        verdict.failure = InternalFault(_CRASHED)
    health.settle(
        lease,
        verdict.failure,
        verdict.complaints,
        held=bool(verdict.changes.held),
        credentials_version=keeper.version,
        now=clock(),
    )
    runs.close(account_runs, verdict.failure, verdict.complaints, now=clock())
    if company_pk is not None:
        hours.note(
            company_pk,
            failed=not verdict.succeeded,
            changed=verdict.changes.created + verdict.changes.updated + verdict.changes.deleted,
            took=clock() - began,
            now=clock(),
        )
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


@dataclass(frozen=True, slots=True)
class _Pass:
    """One reading of one account: with what, under which lease, and what it has come to so far."""

    account: CalendarAccount
    provider: Provider
    lease: Lease
    clock: Clock
    account_runs: list[AccountRun]
    verdict: Verdict

    @property
    def part_pks(self) -> list[int]:
        return [account_run.pk for account_run in self.account_runs]

    @property
    def force_refresh(self) -> bool:
        return any(account_run.run.force_refresh for account_run in self.account_runs)


def _load(lease: Lease) -> CalendarAccount:
    try:
        account = CalendarAccount.objects.filter(pk=lease.account_pk, fence=lease.fence).first()
    except InvalidToken:
        raise Misconfigured("The stored credentials cannot be decrypted with the configured keys.") from None
    if account is None:
        raise LeaseLost
    return account


def _refuse_unready(account: CalendarAccount, *, now: datetime) -> None:
    # Credentials that were refused are not polled with, but somebody who asks may have mended it at the vendor.
    if account.credentials is None:
        raise ReconnectNeeded("The account has not been connected yet.")
    if account.vendor_retry_at is not None and account.vendor_retry_at > now:
        raise Throttled(
            f"The server asked to be left alone until {account.vendor_retry_at:%H:%M} UTC.",
            retry_after=account.vendor_retry_at - now,
        )


def _read_calendars(current: _Pass) -> None:
    discovered = current.account.discovered_at
    if current.force_refresh or discovered is None or discovered < current.clock() - settings.DISCOVERY_MAX_AGE:
        remote = current.provider.calendars()
        listing.reconcile(current.lease, remote, state=current.provider.state(), now=current.clock())
    read: list[int] = []
    faults: list[ProviderError] = []
    silences = 0
    # Those that failed last time come last: where each of them is waited for in vain, the others were read before.
    wanted = current.account.calendars.filter(sync_enabled=True).order_by(
        Case(When(last_error="", then=0), default=1), "pk"
    )
    # Those that somebody takes in while the others are read belong to this pass too.
    while calendars := list(wanted.exclude(pk__in=read)):
        for calendar in calendars:
            read.append(calendar.pk)
            try:
                complaint = _sync_calendar(current, calendar)
                silences = 0
            except Unreachable as fault:
                faults.append(fault)
                complaint = fault.reason
                silences = 0 if isinstance(fault, ServerFault) else silences + 1
            except (ProviderError, LeaseLost, DatabaseError, InvalidToken):
                raise
            except Exception:
                # What one calendar holds must not keep the others from being read.
                log.exception("calendar_crashed", calendar=calendar.pk)
                faults.append(InternalFault(_CRASHED))
                complaint = _CRASHED
            if complaint:
                Calendar.objects.filter(pk=calendar.pk).update(last_error=complaint)
                calendar_runs.complained(current.part_pks, calendar, complaint, now=current.clock())
                current.verdict.complaints.append(f"{calendar}: {complaint}")
            if silences == _MOST_SILENCES:
                # Nobody answers there: the rest is not worth the patience that each of them would cost.
                raise faults[-1]
    # What fails for all of them is no matter of single calendars: a server that is down as a whole.
    if faults and len(faults) == len(read):
        raise faults[0]


def _sync_calendar(current: _Pass, calendar: Calendar) -> str:
    """Mirror one calendar; what there is to complain about, which does not stop the others, or nothing."""
    if calendar.missing_since is not None:
        # The list is asked again until it shows the calendar, or confirms that it is gone.
        health.ask_for_listing(current.lease)
        return _MISSING
    try:
        changes = _read_calendar(current, calendar)
    except CalendarGone as error:
        # It may have moved: the next sync asks for the list, which decides.
        health.ask_for_listing(current.lease)
        return error.reason
    except UnexpectedAnswer as error:
        return error.reason
    current.verdict.changes += changes
    return _HELD.format(rows=changes.held) if changes.held else ""


# Calendars in a row for which no answer came.
_MOST_SILENCES = 2
_CRASHED = "Something went wrong inside this service; it has been logged."
_SWITCHED_OFF = "The account is switched off."
_MISSING = (
    "The server does not list this calendar any more. Its events are kept until a listing ten minutes later agrees."
)
_HELD = (
    "The server does not show {rows} entries any more. They are kept until a full read ten minutes later agrees, or "
    "until an administrator clears the brake."
)


def _read_calendar(current: _Pass, calendar: Calendar) -> Changes:
    """Read to the end, then apply. A cursor that the vendor has lost is given up for a full read, once."""
    state = CalendarState(
        external_id=calendar.external_id,
        time_zone=calendar.time_zone,
        cursor=calendar.cursor,
        etags=lambda: _etags(calendar),
        mirrored=lambda ids: _mirrored(calendar, ids),
    )
    if current.force_refresh:
        # As if nothing were known: every event is fetched again, and compared by what it says.
        state = replace(state, cursor="", etags=dict)
    elif state.cursor:
        try:
            return _read(current, calendar, state)
        except CursorLost:
            log.info("cursor_lost", calendar=calendar.pk)
            state = replace(state, cursor="")
    try:
        return _read(current, calendar, state)
    except CursorLost as error:
        raise UnexpectedAnswer("The server refused even a full read.") from error


def _read(current: _Pass, calendar: Calendar, state: CalendarState) -> Changes:
    with Spool() as spool:
        end: Answer | None = None
        for answer in current.provider.changes(state):
            if end is not None:
                raise UnexpectedAnswer("The answer went on after its end.")
            if isinstance(answer, Page):
                spool.add(answer)
            else:
                end = answer
        if not isinstance(end, Snapshot | Delta):
            raise UnexpectedAnswer("The answer stopped before its end.")
        return mirror.apply(
            calendar,
            spool,
            end,
            lease=current.lease,
            run_pks=current.part_pks,
            now=current.clock(),
        )


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
