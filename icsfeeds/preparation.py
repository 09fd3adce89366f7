"""A user's part of a feed, prepared: rendered once for each state of the ledger, and where little changed, little is.

Every change of a ledger raises its user's revision in its own transaction. So rows that were read while the revision
stood still are the rows of that revision; if it moved, they may be older than the revision that is known now, or newer
than the one that was known before, and they are read again; in the end in one snapshot. Never are old rows shown as a
new state, nor rows of two states together.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import QuerySet

from busyblocks.models import BusyBlock
from icsfeeds import buckets, rows, singles
from icsfeeds.contents import Contents
from icsfeeds.errors import NoSuchFeed
from icsfeeds.events import Clock
from icsfeeds.families import Family, families
from icsfeeds.feed import RENDERER_VERSION, YEARS_AHEAD, written
from icsfeeds.lookup import Stamp
from icsfeeds.pieces import Piece, piece
from icsfeeds.rows import FeedRow, Shown
from icsfeeds.singles import Single
from icsfeeds.snapshot import one_snapshot
from tenancy.models import CrmUser

# A ledger that moves under every one of so many reads is read in one snapshot, which costs more.
_ATTEMPTS = 2
# Rows for which one piece, or sixteen, are enough: pieces of about 40 rows are rendered in a millisecond.
_ONE_PIECE, _SIXTEEN_PIECES = 600, 6_000
_FETCHED_AT_ONCE = 2_000
_TRASH = "~"
_DIGITS = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Revision:
    """How often a ledger was changed, and when last; `stamp` is both as the database writes them."""

    number: int
    at: datetime | None
    stamp: str


class Kept(NamedTuple):
    """A bucket's state, and the piece that it was rendered to."""

    state: str
    piece: Piece


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a feed shows of one user. revision: None when the ledger would not stand still, and somebody's
    transaction stood around it.

    made_with: what else it follows from: the day, the renderer, the member's name in a team's feed.
    """

    revision: Revision | None
    made_with: tuple[object, ...]
    kept: Mapping[str, Kept]

    @property
    def pieces(self) -> list[Piece]:
        return [self.kept[bucket].piece for bucket in sorted(self.kept)]


def made_with(user: CrmUser, contents: Contents, *, now: datetime) -> tuple[object, ...]:
    """Everything but the ledger that decides what is prepared."""
    whose = (user.name, user.unique_id) if contents.of_team else ()
    return (RENDERER_VERSION, contents, now.date(), *whose)


def prepare(user: CrmUser, contents: Contents, *, known: Prepared | None, now: datetime) -> Prepared:
    """The user's part as their ledger is now. known: an earlier state of the same, of which what still holds is taken.

    Six queries, and where buckets hold copies, one more for each of those. Raises `NoSuchFeed` where the user is gone.
    """
    basis = made_with(user, contents, now=now)
    kept = known.kept if known is not None and known.made_with == basis else {}
    before = revision_of(user)
    for _ in range(_ATTEMPTS):
        kept = _render(user, contents, kept, now=now)
        after = revision_of(user)
        if after == before:
            return Prepared(after, basis, kept)
        before = after
    with one_snapshot() as whole:
        before = revision_of(user)
        kept = _render(user, contents, kept, now=now)
        settled = whole or revision_of(user) == before
    return Prepared(before if settled else None, basis, kept)


def revision_of(user: CrmUser) -> Revision:
    """As the database has it now. Raises `NoSuchFeed`."""
    found = CrmUser.objects.filter(pk=user.pk).values_list("revision", "revised_at", Stamp()).first()
    if found is None:
        raise NoSuchFeed
    return Revision(*found)


def _render(user: CrmUser, contents: Contents, known: Mapping[str, Kept], *, now: datetime) -> dict[str, Kept]:
    asides = rows.asides(user.pk, contents)
    blocks = rows.shown(user.pk, contents, now=now)
    found = _states(blocks, asides)
    shown = Shown(contents, user if contents.of_team else None)
    kept = {name: known[name] for name, state in found.items() if name in known and known[name].state == state}
    missing = [name for name in found if name not in kept]
    if missing:
        renderer = _Renderer(asides, shown, contents, now)
        for name, made in renderer.pieces(blocks, missing, everything=not kept):
            kept[name] = Kept(found[name], made)
    trash = rows.thrown_away(user.pk, contents, now=now)
    if trash:
        kept[_TRASH] = Kept("", _Renderer({}, shown, contents, now).piece([], trash))
    return kept


def _states(blocks: QuerySet[BusyBlock], asides: Mapping[str, rows.Aside]) -> dict[str, str]:
    """By the pieces' names (a bucket's one or two digits, or none), the state of all that is in them."""
    found = buckets.states(blocks, with_meetings=bool(asides))
    total = sum(count for _, count, _, _ in found)
    digits = 0 if total <= _ONE_PIECE else 1 if total <= _SIXTEEN_PIECES else 2
    digests: dict[str, hashlib._Hash] = {}
    for bucket, _, state, keys in found:
        told = [asides.get(key) for key in keys.split(",")] if asides and keys else []
        digest = digests.setdefault(bucket[:digits], hashlib.sha256())
        digest.update(f"{bucket}:{state}{told}\n".encode(errors="replace"))
    return {name: digest.hexdigest() for name, digest in digests.items()}


class _Renderer:
    def __init__(self, asides: Mapping[str, rows.Aside], shown: Shown, contents: Contents, now: datetime) -> None:
        self.asides, self.shown, self.year = asides, shown, now.year
        self.window = contents.window(now)

    def pieces(self, blocks: QuerySet[BusyBlock], names: list[str], *, everything: bool) -> Iterator[tuple[str, Piece]]:
        """The named pieces, one at a time: of a large ledger only one is in memory."""
        wanted: Any = buckets.in_buckets(blocks).order_by("bucket", "start_time", "pk")
        if not everything:
            wanted = wanted.filter(bucket__in=[bucket for name in names for bucket in _buckets_of(name)])
        once = _Ahead(map(Single._make, _fetched(singles.once(wanted).values_list(*singles.COLUMNS))))
        recurring = singles.recurring(wanted).values_list("bucket", *rows.COLUMNS)
        others = _Ahead(_fetched(recurring))
        for name in sorted(names):
            yield name, self._piece_of(once.of(name), [FeedRow(*values[1:]) for values in others.of(name)])

    def _piece_of(self, alone: list[Single], others: list[FeedRow]) -> Piece:
        named = Counter(row.uid for row in alone)
        taken = {row.uid for row in others}
        twins = {row.pk for row in alone if row.uid and (named[row.uid] > 1 or row.uid in taken)}
        if twins:
            alone = [row for row in alone if row.pk not in twins]
            others = [*others, *rows.read(BusyBlock.objects.filter(pk__in=twins).order_by("start_time", "pk"))]
        return self.piece(alone, rows.with_asides(others, self.asides))

    def piece(self, alone: Iterable[Single], others: Iterable[FeedRow]) -> Piece:
        clock = Clock(last_year=self.year + YEARS_AHEAD)
        found = singles.write(alone, clock, self.asides, self.shown)
        for family in families(self.shown.rows(others)):
            found += written(self._in_window(family), clock, self.year)
        zones = tuple(sorted((name, first, last) for name, (first, last) in clock.years.items()))
        return piece("".join(found).encode(), zones)

    def _in_window(self, family: Family) -> Family:
        """Without overrides that stand alone outside of what is shown."""
        start, end = self.window
        if family.master is not None:
            return family
        inside = (
            row
            for row in family.overrides
            if (start is None or row.end_time >= start) and (end is None or row.start_time < end)
        )
        return Family(family.uid, None, tuple(inside))


def _buckets_of(name: str) -> list[str]:
    if len(name) == 2:
        return [name]
    return [name + bucket for bucket in ([*_DIGITS] if name else [a + b for a in _DIGITS for b in _DIGITS])]


def _fetched(found: QuerySet[Any, Any]) -> Iterable[Any]:
    return found.iterator(chunk_size=_FETCHED_AT_ONCE)


class _Ahead:
    """A stream of rows sorted by bucket, which stands first in each; taken bucket by bucket."""

    def __init__(self, stream: Iterable[Any]) -> None:
        self.stream = iter(stream)
        self.next = next(self.stream, None)

    def of(self, name: str) -> list[Any]:
        """The next rows, as long as their bucket is one of those that `name` names."""
        found = []
        while self.next is not None and self.next[0].startswith(name):
            found.append(self.next)
            self.next = next(self.stream, None)
        return found
