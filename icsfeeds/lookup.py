"""From an address to its token, in one query that is built once per process: most reads consist of little else."""

import hmac
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import F, Func, Max, OuterRef, Subquery, Sum, TextField

from icsfeeds.errors import NoSuchFeed
from icsfeeds.models import ICSToken
from icsfeeds.statement import UNKNOWN, Statement
from tenancy.models import Company, CrmUser
from tenancy.prepared import look_after

_SUFFIX = ".ics"
# The address of the same token's free/busy feed.
FREE_BUSY_SUFFIX = ".ifb"
_TEAMS_MOST = 10_000
# Tokens that take the longer statement, and companies' names in addresses.
_MEMBERS: Any = ICSToken.team.through
_teams: OrderedDict[str, None] = OrderedDict()
_names: dict[int, bytes] = {}


class Stamp(Func):
    """A ledger's revision and when it was made, as text: a restored dump may count the same revisions again."""

    output_field = TextField()

    def __init__(self) -> None:
        super().__init__(F("revision"), F("revised_at"))

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, arg_joiner="::text || '@' || coalesce(", template=_ON_POSTGRESQL)

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, arg_joiner=" || '@' || coalesce(", template=_ON_SQLITE)


# Not Django's Concat, whose nested conditions cost more than the row.
_ON_POSTGRESQL, _ON_SQLITE = "(%(expressions)s::text, ''))", "(%(expressions)s, ''))"


@dataclass(frozen=True, slots=True)
class Found:
    """A usable token, as far as a reader who has the feed already needs it.

    state: of the ledgers of all its users, see `state_of`. key, tag, since: what was last shown.
    """

    pk: int
    state: str
    key: str
    tag: str
    since: datetime | None


def digest_of(value: str) -> str:
    """Of the token as it stands in an address, with or without `.ics` or `.ifb`."""
    return ICSToken.digest_of(value.removesuffix(_SUFFIX).removesuffix(FREE_BUSY_SUFFIX))


def find(company_url_id: str, digest: str, *, now: datetime) -> Found:
    """The usable token of this digest, of this company; one query.

    Raises `NoSuchFeed`, after the same work whatever the reason is.
    """
    row = _row(digest, team=digest in _teams)
    if row is not None and row[9] and digest not in _teams:
        _teams[digest] = None
        if len(_teams) > _TEAMS_MOST:
            _teams.popitem(last=False)
        row = _row(digest, team=True)
    if row is None:
        raise NoSuchFeed
    pk, known, company, active, expires_at, key, tag, since, stamp, _, *others = row
    same_digest = hmac.compare_digest(known, digest)
    same_company = _is_called(company, company_url_id)
    if not (same_digest and same_company and active and (expires_at is None or expires_at > now)):
        raise NoSuchFeed
    return Found(pk, state_of(stamp, *others), key, tag, since)


def state_of(stamp: str, others: int | None = None, others_at: datetime | None = None) -> str:
    """The ledgers' state: the owner's stamp, and of a team the sum of its revisions and the last time of them all.

    Each change of any of them makes it another one.
    """
    return stamp if others is None else f"{stamp}+{others}@{others_at}"


def _is_called(company_pk: int, url_id: str) -> bool:
    """Whether this is the company's name in addresses. What is known is asked again only where it is another one, so a
    name that was given up leads to the feeds of its company until the process ends, and to nobody else's.
    """
    given = url_id.encode(errors="replace")
    known = _names.get(company_pk)
    if known is not None and hmac.compare_digest(known, given):
        return True
    named = Company.objects.filter(pk=company_pk).values_list("url_id", flat=True).first()
    if named is None:
        return False
    _names[company_pk] = named.encode()
    return hmac.compare_digest(_names[company_pk], given)


def _row(digest: str, *, team: bool) -> tuple[Any, ...] | None:
    """The columns named below of the token with this digest."""
    connection: Any = connections[DEFAULT_DB_ALIAS]
    try:
        return _statement(connection.vendor, team).row(connection, digest)
    finally:
        look_after(connection)


@lru_cache(maxsize=4)
def _statement(vendor: str, team: bool) -> Statement:
    """Built once: that takes longer than asking it. Joins would cost PostgreSQL more than the subquery."""
    owner = CrmUser.objects.filter(pk=OuterRef("user")).order_by()
    columns: tuple[Any, ...] = (
        "pk", "digest", "company_id", "active", "expires_at", "shown_key", "shown_tag", "shown_at",
        Subquery(owner.values_list(Stamp())), "of_team",
    )  # fmt: skip
    if team:
        members = _MEMBERS.objects.filter(icstoken_id=OuterRef("pk")).order_by().values("icstoken_id")
        revisions = members.annotate(all=Sum("crmuser__revision"), last=Max("crmuser__revised_at"))
        columns += (Subquery(revisions.values("all")), Subquery(revisions.values("last")))
    return Statement(ICSToken.objects.order_by().filter(digest=UNKNOWN).values_list(*columns))


def forget() -> None:
    """Drop what this process knows of companies and teams."""
    _names.clear()
    _teams.clear()
