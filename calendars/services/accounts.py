"""Accounts and their calendars: connecting, changing, leaving out, disconnecting.

Every verb that touches the mirror takes the account's row lock first, as the mirror's own commit does: so whichever
comes second sees what the first has done. None of them talks to a vendor.
"""

import hashlib
from datetime import datetime
from typing import Any

import structlog
from cryptography.fernet import InvalidToken
from django.db import IntegrityError, transaction

from busyblocks.models import BusyBlock, Origin
from busyblocks.prepared import revised
from calendars.errors import AlreadyConnected
from calendars.models import AccountRun, Calendar, CalendarAccount, RunState
from calendars.models.account import AccountStatus
from calendars.oauth import Tokens
from calendars.providers import BadProviderData, NoSuchProvider, provider_class
from calendars.services import farewells, people, runs
from tenancy import audit
from tenancy.errors import NotFound
from tenancy.models import CrmUser, Verb

log = structlog.get_logger("accounts")


def has_backend(provider: str) -> bool:
    """Whether this service can mirror accounts of `provider` at all."""
    try:
        provider_class(provider)
    except NoSuchProvider:
        return False
    return True


def status_of(account: CalendarAccount) -> AccountStatus:
    """inactive when switched off, error while the last attempt failed, else active."""
    if not account.sync_enabled:
        return AccountStatus.INACTIVE
    return AccountStatus.ERROR if account.last_error_code else AccountStatus.ACTIVE


def connect(
    user: CrmUser,
    *,
    provider: str,
    email: str,
    provider_data: dict[str, Any] | None = None,
    tokens: Tokens | None = None,
    external_user_id: str = "",
    name: str = "",
    sync_enabled: bool = True,
    now: datetime,
) -> CalendarAccount:
    """The user's account for this connection: a new one, or the same one connected again with its rows kept.

    With usable credentials it is connected and due at once; without, it exists and waits to be connected. A provider
    that has no backend here can be created and waits too. Raises `BadProviderData`.
    """
    credentials = _credentials(provider, email=email, provider_data=provider_data, tokens=tokens)
    wanted = identity_of(provider, email=email, credentials=credentials)
    with transaction.atomic():
        account = _same_connection(user, provider=provider, email=email, identity=wanted, waiting=bool(credentials))
        made = False
        if account is None:
            account, made = CalendarAccount.objects.get_or_create(
                user=user,
                provider=provider,
                identity=wanted,
                defaults={"company_id": user.company_id, "email": email},
            )
            account = _locked(account)
        before = _facts(account)
        account.identity = wanted if credentials is not None else account.identity
        account.email = email
        account.name = name or account.name
        account.external_user_id = external_user_id or account.external_user_id
        account.sync_enabled = sync_enabled
        if credentials is not None:
            _take_credentials(account, credentials, tokens, now=now)
        account.status = status_of(account)
        account.save()
        if made or credentials is not None:
            audit.record(account, Verb.CONNECTED if credentials is not None else Verb.CREATED)
        else:
            audit.record_change(account, *_changed(account, before))
        people.adopt(user, email=email, now=now)
    return account


def change(
    account: CalendarAccount,
    *,
    sync_enabled: bool | None = None,
    email: str | None = None,
    name: str | None = None,
    provider_data: dict[str, Any] | None = None,
    tokens: Tokens | None = None,
    now: datetime,
) -> CalendarAccount:
    """The account with what is not None changed. Switched off it is never synced; switched on it is due at once.

    provider_data may hold only what changes (a new password): the rest is kept. Raises `BadProviderData`, and
    `AlreadyConnected` when another account of the user is that connection.
    """
    with transaction.atomic():
        account = _locked(account)
        before = _facts(account)
        if email is not None:
            account.email = email
        if name is not None:
            account.name = name
        if provider_data is not None:
            # The stored credentials of a provider are named as its provider_data is.
            provider_data = {**(account.credentials or {}), **provider_data}
        credentials = _credentials(account.provider, email=account.email, provider_data=provider_data, tokens=tokens)
        account.identity = identity_of(
            account.provider, email=account.email, credentials=credentials or account.credentials
        )
        if credentials is not None:
            _take_credentials(account, credentials, tokens, now=now)
        if sync_enabled is not None and sync_enabled != account.sync_enabled:
            account.sync_enabled = sync_enabled
            account.next_attempt_at = _due(account, now) if sync_enabled else None
        account.status = status_of(account)
        try:
            with transaction.atomic():
                account.save()
        except IntegrityError:
            raise AlreadyConnected("email" if email is not None else "provider_data") from None
        audit.record_change(account, *_changed(account, before), *(["credentials"] if credentials is not None else []))
        if email is not None:
            people.adopt(account.user, email=email, now=now)
    return account


def disconnect(account: CalendarAccount, *, now: datetime) -> None:
    """Remove the account, its secrets and everything mirrored from it, in one transaction. The vendor hears later.

    A sync that runs meanwhile finds no account at its commit and writes nothing. What runs wait for it is closed.
    """
    with transaction.atomic():
        found = CalendarAccount.objects.select_for_update().defer("credentials").filter(pk=account.pk).first()
        if found is None:
            return
        audit.record(found, Verb.DELETED)
        _note_farewell(found, now=now)
        open_parts = AccountRun.objects.filter(account_id=found.pk, finished_at=None)
        run_pks = list(open_parts.values_list("run", flat=True))
        open_parts.update(status=RunState.COMPLETED, error="The account was disconnected.", finished_at=now)
        # One DELETE by origin whatever the number of rows; the calendars go with their origins.
        Origin.objects.filter(calendar__account_id=found.pk).delete()
        # Deferred: a row whose secrets no key opens must go, too.
        CalendarAccount.objects.defer("credentials").filter(pk=found.pk).delete()
        revised(found.user_id, at=now)
    for run_pk in run_pks:
        runs.finish_if_done(run_pk, now=now)


def leave_out(calendar: Calendar, *, now: datetime) -> Calendar:
    """Stop mirroring this calendar: its rows and all that is known of its mirror go, the calendar stays listed."""
    with transaction.atomic():
        calendar = _locked_calendar(calendar)
        if not calendar.sync_enabled:
            return calendar
        BusyBlock.objects.filter(origin_id=calendar.origin_id).delete()
        calendar.withheld.all().delete()
        calendar.sync_enabled = False
        calendar.cursor = ""
        calendar.last_synced_at = None
        calendar.last_error = ""
        calendar.held_count = 0
        calendar.save()
        _record_switch(calendar)
        revised(calendar.account.user_id, at=now)
    return calendar


def take_in(calendar: Calendar, *, now: datetime) -> Calendar:
    """Mirror this calendar (again): its next read is a full one, and the account is due at once."""
    with transaction.atomic():
        calendar = _locked_calendar(calendar)
        if calendar.sync_enabled:
            return calendar
        calendar.sync_enabled = True
        calendar.cursor = ""
        calendar.save()
        _record_switch(calendar)
        account = calendar.account
        CalendarAccount.objects.filter(pk=account.pk, sync_enabled=True, connected=True).update(
            next_attempt_at=_due(account, now)
        )
    return calendar


def identity_of(provider: str, *, email: str, credentials: dict[str, Any] | None) -> str:
    """SHA-256, hexadecimal, of what tells two connections of a user and provider apart: the e-mail without regard to
    case, and where there is one the server and the user name there, or the feed's address."""
    known = credentials or {}
    parts = [provider, email.strip().lower(), str(known.get("server_url", "")), str(known.get("username", ""))]
    if "url" in known:
        parts.append(str(known["url"]))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _credentials(
    provider: str, *, email: str, provider_data: dict[str, Any] | None, tokens: Tokens | None
) -> dict[str, Any] | None:
    if provider_data is not None:
        try:
            backend = provider_class(provider)
        except NoSuchProvider:
            # An address that nobody has checked is not stored.
            raise BadProviderData("", f"{provider} accounts cannot be connected on this service.") from None
        return backend.credentials_from(provider_data, email=email)
    return tokens.as_credentials() if tokens is not None else None


def _with_old_refresh_token(account: CalendarAccount, credentials: dict[str, Any]) -> dict[str, Any]:
    """Vendors give a refresh token once: without a new one the old one is still good."""
    old = account.credentials or {}
    if credentials.get("refresh_token") == "" and old.get("refresh_token"):
        return {**credentials, "refresh_token": old["refresh_token"]}
    return credentials


def _same_connection(
    user: CrmUser, *, provider: str, email: str, identity: str, waiting: bool
) -> CalendarAccount | None:
    """The row that a request means, locked: the same connection; else, by e-mail, one that still waits for
    credentials (`waiting`: the request brings them), or any one."""
    accounts = CalendarAccount.objects.select_for_update().filter(user=user, provider=provider).order_by("pk")
    exact = accounts.filter(identity=identity).first()
    if exact is not None:
        return exact
    by_email = accounts.filter(email__iexact=email)
    if waiting:
        by_email = by_email.filter(credentials=None)
    return by_email.first()


def _take_credentials(
    account: CalendarAccount, credentials: dict[str, Any], tokens: Tokens | None, *, now: datetime
) -> None:
    """New credentials: what went wrong with the old ones and what was discovered by them is void."""
    account.credentials = _with_old_refresh_token(account, credentials)
    account.credentials_version += 1
    account.refresh_until = None
    account.token_expires_at = tokens.expires_at if tokens is not None else None
    account.provider_state, account.discovered_at = {}, None
    account.failures, account.last_error_code, account.last_error = 0, "", ""
    account.connected = has_backend(account.provider)
    account.next_attempt_at = _due(account, now) if account.connected and account.sync_enabled else None


def _facts(account: CalendarAccount) -> dict[str, object]:
    """What a person may change of it, but for the credentials."""
    return {name: getattr(account, name) for name in ("email", "name", "external_user_id", "sync_enabled")}


def _changed(account: CalendarAccount, before: dict[str, object]) -> list[str]:
    return [name for name, value in _facts(account).items() if value != before[name]]


def _record_switch(calendar: Calendar) -> None:
    # A calendar without a name calls itself by its address, which opens some to whoever knows it.
    audit.record_change(calendar, "sync_enabled", named=calendar.name or f"a calendar of {calendar.account}")


def _note_farewell(account: CalendarAccount, *, now: datetime) -> None:
    try:
        farewells.write_down(account, now=now)
    except InvalidToken:
        # What no key opens cannot be revoked, and must not keep the account from going.
        log.warning("credentials_unreadable", account=account.pk)


def _due(account: CalendarAccount, now: datetime) -> datetime | None:
    """At once, unless the vendor asked for silence; never while there is nothing to sign in with."""
    if not account.connected:
        return None
    return max(now, account.vendor_retry_at) if account.vendor_retry_at else now


def _locked(account: CalendarAccount) -> CalendarAccount:
    """The row as it is now, locked until the end of the transaction; raises `NotFound` when somebody removed it."""
    fresh = CalendarAccount.objects.select_for_update().filter(pk=account.pk).first()
    if fresh is None:
        raise NotFound("calendar_account")
    return fresh


def _locked_calendar(calendar: Calendar) -> Calendar:
    """The calendar as it is now, its account locked first."""
    account = CalendarAccount.objects.select_for_update().defer("credentials").filter(pk=calendar.account_id).first()
    fresh = Calendar.objects.select_for_update().filter(pk=calendar.pk).first()
    if account is None or fresh is None:
        raise NotFound("calendar")
    fresh.account = account
    return fresh
