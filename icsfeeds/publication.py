"""What is read at an address: a body that was joined already, or pieces that are; only what changed is rendered."""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from django.conf import settings
from django.db import DatabaseError

from icsfeeds import freebusy, preparation, shelf
from icsfeeds.contents import Contents, contents_of
from icsfeeds.errors import NoSuchFeed
from icsfeeds.feed import CLOSING, Head, opening
from icsfeeds.lookup import Found, state_of
from icsfeeds.models import ICSToken
from icsfeeds.pieces import Joined, Piece, join, piece
from icsfeeds.preparation import Prepared
from icsfeeds.shelf import Shelf
from icsfeeds.version import Version, key_of
from tenancy.models import CrmUser

_BODIES_BYTES = 32 * 1024 * 1024
_PREPARED_BYTES = 32 * 1024 * 1024
# What has changed less than an eighth of its pieces is not shared again.
_SHARED_FROM = 8

log = structlog.get_logger("feed")


@dataclass(frozen=True, slots=True)
class Edition:
    """A body, and the version that it is; None when the ledger would not stand still."""

    body: Joined
    version: Version | None


_bodies: Shelf[Joined] = Shelf(_BODIES_BYTES)
_prepared: Shelf[Prepared] = Shelf(_PREPARED_BYTES)
# Of the readers that come after a change, one renders; more locks than threads that serve.
_LOCKS = [threading.Lock() for _ in range(64)]
_CLOSING = piece(CLOSING)


def version_of(found: Found, *, now: datetime) -> Version | None:
    """What the feed shows, where that is known without looking; nothing is queried."""
    if found.tag and found.key == key_of(found.state, now.date()):
        return Version(found.tag, found.since)
    return None


def edition_of(found: Found, version: Version | None, *, now: datetime) -> Edition:
    """The feed's body as its ledgers are now. version: as `version_of` says. Raises `NoSuchFeed`."""
    body = prepared(found, version) if version is not None else None
    return _made(found.pk, now=now) if body is None else Edition(body, version)


def prepared(found: Found, version: Version) -> Joined | None:
    """The body of this very version, where this process holds it; nothing is queried."""
    body = _bodies.get(found.pk)
    return body if body is not None and body.tag == version.tag else None


def free_busy_of(found: Found, *, now: datetime) -> Edition:
    """The free/busy feed, whose version is known by its tag alone."""
    body = freebusy.body_of(found, now=now)
    return Edition(body, Version(body.tag, None))


def forget() -> None:
    """Drop what this process has prepared."""
    _bodies.clear()
    _prepared.clear()
    freebusy.forget()


def _made(token_pk: int, *, now: datetime) -> Edition:
    token = ICSToken.objects.select_related("user").defer("encrypted_token").filter(pk=token_pk).first()
    if token is None:
        raise NoSuchFeed
    team = list(token.team.order_by("pk")) if token.of_team else []
    users = [token.user, *team]
    contents = contents_of(token, of_team=token.of_team)
    parts = [_part(user, contents, now=now) for user in users]
    zones: dict[str, tuple[int, int]] = {}
    events: list[Piece] = [one for part in parts for one in part.pieces]
    for one in events:
        for name, first, last in one.zones:
            known = zones.get(name, (first, last))
            zones[name] = (min(first, known[0]), max(last, known[1]))
    head = Head(
        name=token.label or "Calendar",
        prodid=settings.FEED_PRODID,
        refresh=timedelta(seconds=token.refresh_seconds or settings.FEED_MAX_AGE_SECONDS),
        year=now.year,
        color=token.color,
    )
    body = join([piece(opening(head, zones)), *events, _CLOSING])
    _bodies.put(token_pk, body, body.weight)
    return Edition(body, _noted(token, users, parts, body.tag, now=now))


def _part(user: CrmUser, contents: Contents, *, now: datetime) -> Prepared:
    """One user's part, from the shelf where it is as new as the ledger."""
    key = (user.pk, contents)
    with _LOCKS[hash(key) % len(_LOCKS)]:
        known = _prepared.get(key)
        current = preparation.revision_of(user)
        if known is None:
            # Whoever has an older state renders what changed, in less time than the whole takes from the cache.
            known = shelf.shared(user.pk, contents)
        basis = preparation.made_with(user, contents, now=now)
        if known is None or known.revision != current or known.made_with != basis:
            before, known = known, preparation.prepare(user, contents, known=known, now=now)
            if known.revision is not None and _is_worth_sharing(before, known):
                shelf.share(user.pk, contents, known)
        if known.revision is not None:
            _prepared.put(key, known, shelf.weight_of(known))
        return known


def _is_worth_sharing(before: Prepared | None, made: Prepared) -> bool:
    """Whether a process that begins anew would render much of this again, having `before`."""
    known = before.kept if before is not None else {}
    new = sum(known.get(name) is not kept for name, kept in made.kept.items())
    return before is None or new * _SHARED_FROM >= len(made.kept)


def _noted(token: ICSToken, users: list[CrmUser], parts: list[Prepared], tag: str, *, now: datetime) -> Version | None:
    """The version that was made, written on the token's row, so that the next reader need not make it."""
    revisions = [part.revision for part in parts]
    settled = [revision for revision in revisions if revision is not None]
    if len(settled) < len(revisions):
        return None
    changes = [revision.at for revision in settled if revision.at is not None]
    owner, team = settled[0], settled[1:]
    state = owner.stamp
    if token.of_team:
        last = max((revision.at for revision in team if revision.at is not None), default=None)
        state = state_of(owner.stamp, sum(revision.number for revision in team), last)
    key = key_of(state, now.date())
    since = token.shown_at
    if tag != token.shown_tag or since is None:
        midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
        changed = max([midnight, token.updated_at, *changes, *(user.created_at for user in users)])
        # Another renderer shows the same ledger in other bytes, and its readers must hear of that too.
        since = now if since is not None and changed <= since else changed
    try:
        # Only if the token is still the one whose choices these are.
        row = ICSToken.objects.filter(pk=token.pk, updated_at=token.updated_at)
        row.update(shown_key=key, shown_tag=tag, shown_at=since)
    # A standby, or a disk that is full: the feed can still be read.
    except DatabaseError as error:
        log.warning("feed_version_not_written", token=token.pk, error=type(error).__name__)
        return Version(tag, None)
    return Version(tag, since)
