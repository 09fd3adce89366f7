"""The `.ifb` feed: when the people of a token are busy, and nothing else (VFREEBUSY, RFC 5545 §3.6.4).

Outlook and Thunderbird read it where they look for free/busy time. It tells of the same entries as the calendar does,
so a token that does not show mirrored calendars does not tell their times either.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db.models import Q

from busyblocks.errors import BudgetExceeded
from busyblocks.families import REQUEST_STEPS, families, zones_of_dates
from busyblocks.freebusy import Period, layered
from busyblocks.models import FreeBusyType
from busyblocks.rules import Budget
from busyblocks.timespans import Span, Stretch, merge, stretch
from icsfeeds import preparation, rows, writer
from icsfeeds.contents import Contents, contents_of
from icsfeeds.errors import NoSuchFeed
from icsfeeds.lookup import Found
from icsfeeds.models import ICSToken
from icsfeeds.pieces import Joined, join, piece
from icsfeeds.preparation import Revision
from icsfeeds.shelf import Shelf
from icsfeeds.snapshot import one_snapshot
from icsfeeds.version import key_of
from tenancy.models import CrmUser

# What free/busy time is asked for: programs look some months ahead and hardly back.
PAST, FUTURE = timedelta(days=31), timedelta(days=180)
_BODIES_BYTES = 8 * 1024 * 1024
_MAY_BE_BUSY = ~Q(recurrence_id="", fbtype=FreeBusyType.FREE)


@dataclass(frozen=True, slots=True)
class _Kept:
    key: str
    shown_tag: str
    body: Joined


_bodies: Shelf[_Kept] = Shelf(_BODIES_BYTES)


def body_of(found: Found, *, now: datetime) -> Joined:
    """The free/busy feed of the token's users as their ledgers are now; nothing is queried where it is known."""
    key = key_of(found.state, now.date())
    known = _bodies.get(found.pk)
    # A token that was changed has no key until its feed is made again.
    if known is not None and known.key == key == found.key and known.shown_tag == found.tag:
        return known.body
    body, settled = _made(found.pk, now=now)
    if settled and found.key == key:
        _bodies.put(found.pk, _Kept(key, found.tag, body), body.weight)
    return body


def forget() -> None:
    """Drop what this process has made."""
    _bodies.clear()


def _made(token_pk: int, *, now: datetime) -> tuple[Joined, bool]:
    """The body, and whether the ledgers stood still meanwhile."""
    token = ICSToken.objects.select_related("user").defer("encrypted_token").filter(pk=token_pk).first()
    if token is None:
        raise NoSuchFeed
    users = [token.user, *(token.team.order_by("pk") if token.of_team else ())]
    contents = contents_of(token, of_team=token.of_team)
    with one_snapshot() as whole:
        before = _revisions(users)
        parts = [_component(user, contents, now=now) for user in users]
        settled = whole or _revisions(users) == before
    opening = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{writer.line('PRODID:' + writer.text(settings.FEED_PRODID))}"
    text = "".join([opening, *parts, "END:VCALENDAR\r\n"])
    return join([piece(text.encode())]), settled


def _revisions(users: list[CrmUser]) -> list[Revision]:
    return [preparation.revision_of(user) for user in users]


def _component(user: CrmUser, contents: Contents, *, now: datetime) -> str:
    span = _span(contents, now)
    lines = [
        "BEGIN:VFREEBUSY\r\n",
        writer.line(f"UID:{user.company_id}-{user.pk}-freebusy@calendar"),
        # The day's: the same times are the same text.
        f"DTSTAMP:{writer.utc(_midnight(now))}\r\nDTSTART:{writer.utc(span.start)}\r\nDTEND:{writer.utc(span.end)}\r\n",
    ]
    if contents.of_team:
        lines.append(writer.line("COMMENT:" + writer.text(user.name or user.unique_id)))
    lines += [
        f"FREEBUSY;FBTYPE={period.fbtype.upper()}:{writer.utc(period.start)}/{writer.utc(period.end)}\r\n"
        for period in _periods(user, contents, span, now=now)
    ]
    return "".join([*lines, "END:VFREEBUSY\r\n"])


def _periods(user: CrmUser, contents: Contents, span: Span, *, now: datetime) -> list[Period]:
    """As `busyblocks.freebusy.periods`, of what the token shows."""
    dates = zones_of_dates(user, asked=None)
    shown = rows.shown(user.pk, contents, now=now).without_copies()
    budget = Budget(REQUEST_STEPS)
    taken: dict[str, list[Stretch]] = {}
    for family in families(shown, span, dates, led_by=_MAY_BE_BUSY):
        try:
            for _, instance in family.instances(span, budget):
                if instance.entry.fbtype != FreeBusyType.FREE:
                    covered = stretch(span.clip(instance.span(family.dates_in)))
                    taken.setdefault(instance.entry.fbtype, []).append(covered)
        except BudgetExceeded:
            # One series without measure takes the rest of the answer with it no more than it does in the calendar.
            budget = Budget(REQUEST_STEPS)
    return layered({fbtype: merge(stretches) for fbtype, stretches in taken.items()})


def _midnight(now: datetime) -> datetime:
    return datetime(now.year, now.month, now.day, tzinfo=UTC)


def _span(contents: Contents, now: datetime) -> Span:
    midnight = _midnight(now)
    start, end = contents.window(now)
    return Span(max(start or midnight - PAST, midnight - PAST), min(end or midnight + FUTURE, midnight + FUTURE))
