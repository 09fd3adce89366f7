"""From an address to what is read there: find the token, read the rows, hand out the bytes."""

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from icsfeeds import rows
from icsfeeds.errors import NoSuchFeed
from icsfeeds.feed import Head, render
from icsfeeds.models import ICSToken
from icsfeeds.version import Version, version_of
from tenancy.models import CrmUser

# A ledger that moves under every one of so many reads is shown without validators.
_ATTEMPTS = 3
_SUFFIX = ".ics"


@dataclass(frozen=True, slots=True)
class Edition:
    """What one read found: rows of the ledger, and the version that they are; None when the ledger kept moving."""

    rows: list[rows.FeedRow]
    version: Version | None


def find(company_url_id: str, value: str, *, now: datetime) -> ICSToken:
    """The usable token `value` (with or without `.ics`) of this company, with its user and company; one query.

    Raises `NoSuchFeed`, after the same work whatever the reason is.
    """
    digest = ICSToken.digest_of(value.removesuffix(_SUFFIX))
    token = ICSToken.objects.select_related("company", "user").defer("encrypted_token").filter(digest=digest).first()
    if token is None:
        raise NoSuchFeed
    same_digest = hmac.compare_digest(token.digest, digest)
    same_company = hmac.compare_digest(token.company.url_id.encode(), company_url_id.encode(errors="replace"))
    if not (same_digest and same_company and token.usable_at(now)):
        raise NoSuchFeed
    return token


def read(token: ICSToken, *, now: datetime) -> Edition:
    """The rows behind the feed and their version; three queries, unless the ledger changes meanwhile.

    Every change of the ledger raises the user's revision in its own transaction. So rows that were read while the
    revision stood still are the rows of that revision; if it moved, they may be older than the revision that is known
    now, or newer than the one that was known before, and they are read again. Never are old rows sent under a new
    ETag. This holds under READ COMMITTED and on SQLite, where a transaction around the reads would lock out writers.
    """
    user = token.user
    for _ in range(_ATTEMPTS):
        before = (user.revision, user.revised_at)
        found = rows.read(user.pk, include_synced=token.include_synced)
        after = CrmUser.objects.filter(pk=user.pk).values_list("revision", "revised_at").first()
        if after == before:
            return Edition(found, version_of(token, now=now))
        if after is None:
            raise NoSuchFeed
        user.revision, user.revised_at = after
    return Edition(found, None)


def body(token: ICSToken, edition: Edition, *, now: datetime) -> Iterator[bytes]:
    """The calendar (text/calendar, UTF-8) in chunks."""
    head = Head(
        name=token.label or "Calendar",
        prodid=settings.FEED_PRODID,
        refresh=timedelta(seconds=settings.FEED_MAX_AGE_SECONDS),
        year=now.year,
    )
    return render(head, edition.rows)
