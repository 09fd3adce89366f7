"""What the account says of itself: last attempt, last success, next attempt, why it failed and what to do."""

from datetime import datetime
from typing import Any

from django.db.models import Case, DateTimeField, F, Value, When

from calendars.models import CalendarAccount
from calendars.models.account import AccountStatus
from calendars.providers import ProviderError, ReconnectNeeded, Throttled
from calendars.services import channels
from calendars.sync import lease as leases
from calendars.sync import pace
from calendars.sync.lease import Lease, LeaseLost


def say_attempt(lease: Lease, *, now: datetime) -> None:
    _write(lease, last_attempt_at=now)


def ask_for_listing(lease: Lease) -> None:
    """Have the next sync ask the vendor which calendars there are."""
    _write(lease, discovered_at=None)


def settle(
    lease: Lease,
    failure: ProviderError | None,
    complaints: list[str],
    *,
    held: bool = False,
    credentials_version: int | None = None,
    now: datetime,
) -> None:
    """Write the verdict on the account; raises `LeaseLost`.

    A failure that only a person can mend stops the polling until somebody does; any other is tried again with
    growing pauses, or when the vendor said so. `held`: the brake is the complaint. credentials_version: of those that
    were tried; what is said of them is not said of newer ones, which are tried at once.
    """
    tried = {} if credentials_version is None else {"credentials_version": credentials_version}
    verdict = _verdict(lease, failure, complaints, held=held, now=now)
    if leases.account_of(lease).filter(**tried).update(**verdict | _unless_switched_off(**verdict)):
        return
    # The list of calendars may be that of the server before.
    _write(lease, **_unless_switched_off(status=F("status"), next_attempt_at=now), discovered_at=None)


def _unless_switched_off(*, status: Any, next_attempt_at: datetime | None, **_: object) -> dict[str, Any]:
    """Whoever switched the account off meanwhile has said what it is."""
    status = status if isinstance(status, F) else Value(status)
    next_attempt = When(sync_enabled=True, then=Value(next_attempt_at, DateTimeField()))
    return {
        "status": Case(When(sync_enabled=False, then=Value(AccountStatus.INACTIVE)), default=status),
        "next_attempt_at": Case(next_attempt) if next_attempt_at else None,
    }


def _verdict(
    lease: Lease, failure: ProviderError | None, complaints: list[str], *, held: bool, now: datetime
) -> dict[str, Any]:
    if failure is None and not complaints:
        return {
            "connected": True,
            "status": AccountStatus.ACTIVE,
            "last_synced_at": now,
            "next_attempt_at": pace.after_success(now, with_push=channels.covers(lease.account_pk, now=now)),
            "vendor_retry_at": None,
            "failures": 0,
            "last_error": "",
            "last_error_code": "",
        }
    failures = 1 + (CalendarAccount.objects.filter(pk=lease.account_pk).values_list("failures", flat=True).first() or 0)
    values: dict[str, Any] = {"status": AccountStatus.ERROR, "failures": failures}
    if failure is None:
        code = "deletions_held" if held else "calendar_failed"
        values |= {"connected": True, "last_error": " ".join(complaints), "last_error_code": code}
    else:
        values |= {"last_error": f"{failure.reason} {failure.advice}", "last_error_code": failure.code}
    retry = pace.after_failure(now, failures=failures)
    # Where only some calendars failed, the others go on at their own pace.
    values["next_attempt_at"] = min(retry, pace.after_success(now)) if failure is None else retry
    if isinstance(failure, Throttled) and failure.retry_after is not None:
        asked = pace.vendor_wait(now, failure.retry_after)
        values["vendor_retry_at"] = asked
        # Some ask for less than they mean (iCloud): who is throttled again and again comes back later each time.
        values["next_attempt_at"] = max(
            asked, pace.after_failure(now, failures=1), pace.after_throttling(now, failures=failures)
        )
    if isinstance(failure, ReconnectNeeded):
        values |= {"connected": False, "next_attempt_at": None}
    return values


def _write(lease: Lease, **values: object) -> None:
    if not leases.account_of(lease).update(**values):
        raise LeaseLost
