"""The audit log: who changed what, when, and from where. Names of fields, never their values.

Whoever changes an account, a token, a key or a setting calls `record` in the transaction of the change: either both
are there or none. Who it was is not handed through the services: `Actors`, a middleware, remembers the request under
way, and a command says `acting`. Work without either (a worker, beat) is the service's own.
"""

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from tenancy.callers import Caller
from tenancy.clients import address_of
from tenancy.models import ActorKind, ApiKey, AuditEntry, Company, Staff, Verb

_CLEAR_BATCH = 1000
_NAME_MOST, _ADDRESS_MOST = 255, 64


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. name: of a member of staff, of a token's user (empty: the company's own token), or of the shell's
    user. api_key: its last four characters."""

    kind: ActorKind
    name: str = ""
    api_key: str = ""
    address: str = ""


_SERVICE = Actor(ActorKind.SERVICE)
_request: ContextVar[HttpRequest | None] = ContextVar("request", default=None)
_acting: ContextVar[Actor | None] = ContextVar("acting", default=None)


class Actors:
    """Middleware, after the authentication: what is changed while a request is answered, its sender changed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        known = _request.set(request)
        try:
            return self.get_response(request)
        finally:
            _request.reset(known)


def is_called_by(request: HttpRequest, caller: Caller, key: ApiKey) -> None:
    """Note whose bearer token and key came with the request."""
    request.audited_caller = (caller, key)  # type: ignore[attr-defined]


@contextmanager
def acting(actor: Actor) -> Iterator[None]:
    """What is changed inside is this actor's doing."""
    known = _acting.set(actor)
    try:
        yield
    finally:
        _acting.reset(known)


def shell() -> Actor:
    """Whoever calls a command on this machine."""
    try:
        name = getpass.getuser()
    # A container's user may have no name.
    except (KeyError, OSError):
        name = ""
    return Actor(ActorKind.SHELL, name)


def actor() -> Actor:
    """Who acts at this moment, in this thread."""
    if (told := _acting.get()) is not None:
        return told
    request = _request.get()
    if request is None:
        return _SERVICE
    address = address_of(request.META)[:_ADDRESS_MOST]
    if (known := getattr(request, "audited_caller", None)) is not None:
        caller, key = known
        return Actor(ActorKind.TOKEN, caller.user_unique_id or "", key.last_four, address)
    user = getattr(request, "user", None)
    if isinstance(user, Staff):
        return Actor(ActorKind.STAFF, user.get_username(), address=address)
    # Somebody who holds a link: the way back from a vendor.
    return Actor(ActorKind.LINK, address=address)


def record(row: Model, verb: Verb, *fields: str, named: str | None = None) -> None:
    """Write down that the actor of the moment did this to the row; call it in the transaction of the change.

    fields: the names of what was changed. named: what people call the row, where its own text may be a secret.
    """
    known = actor()
    AuditEntry.objects.create(
        company_id=_company_pk_of(row),
        actor_kind=known.kind,
        actor=_storable(known.name),
        api_key=known.api_key,
        address=known.address,
        verb=verb,
        target_model=row._meta.label_lower,
        target_id=str(getattr(row, "unique_id", None) or row.pk)[:_NAME_MOST],
        target=_storable(str(row) if named is None else named),
        fields=sorted(set(fields)),
    )


def record_change(row: Model, *fields: str, named: str | None = None) -> None:
    """As `record`, of a change; where no field was changed, nothing happened."""
    if fields:
        record(row, Verb.CHANGED, *fields, named=named)


def clear_old(*, now: datetime) -> int:
    """Delete the entries older than AUDIT_KEEP_DAYS; how many. 0 days: they are kept for ever. In batches, so that no
    lock is held for long; twice at once is safe."""
    if not settings.AUDIT_KEEP_DAYS:
        return 0
    old = AuditEntry.objects.filter(at__lt=now - timedelta(days=settings.AUDIT_KEEP_DAYS)).order_by("at")
    count = 0
    while pks := list(old.values_list("pk", flat=True)[:_CLEAR_BATCH]):
        count += AuditEntry.objects.filter(pk__in=pks).expire()
    return count


def _company_pk_of(row: Model) -> int | None:
    """The company whose log it stands in; None: only superusers read it."""
    if isinstance(row, Company):
        return row.pk
    for holder in (row, getattr(row, "account", None), getattr(row, "user", None)):
        if (found := getattr(holder, "company_id", None)) is not None:
            return int(found)
    return None


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:_NAME_MOST]
