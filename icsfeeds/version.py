"""Which state of a feed this is: the validators of its answers (RFC 9110 §8.8)."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from importlib.metadata import version as installed

from django.conf import settings
from django.utils.http import http_date, parse_etags, parse_http_date_safe

from icsfeeds.feed import RENDERER_VERSION

# No transaction that changes a ledger is open for longer.
_SETTLED = timedelta(seconds=61)
_GZIP = "-gzip"


@dataclass(frozen=True, slots=True)
class Version:
    """What a feed shows.

    tag: the opaque part of the ETag, a digest of the plain bytes. since: when the feed came to show them; None where
    that is not known.
    """

    tag: str
    since: datetime | None

    def etag(self, *, gzipped: bool) -> str:
        """The strong ETag; other bytes are another representation, so compressed ones have their own."""
        return f'"{self.tag}{_GZIP if gzipped else ""}"'

    def last_modified(self, now: datetime) -> str | None:
        """The HTTP date to send at `now`.

        An HTTP date has whole seconds, and a transaction may commit a while after the time that it wrote. So a change
        is dated up to the next second, but only once it has settled; before that a date from before it is sent, which
        never makes a later If-Modified-Since come out as "not modified".
        """
        if self.since is None:
            return None
        if now - self.since > _SETTLED:
            return _written(_next_second(self.since))
        return _written(int((self.since - _SETTLED).timestamp()))

    def is_known_to(self, if_none_match: str | None, if_modified_since: str | None) -> bool:
        """Whether a conditional request need not be answered in full (RFC 9110 §13.1.2, §13.1.3: weak comparison)."""
        if if_none_match is not None:
            if if_none_match == f'"{self.tag}"' or if_none_match == f'"{self.tag}{_GZIP}"':
                return True
            tags = {tag.removeprefix("W/").strip('"').removesuffix(_GZIP) for tag in parse_etags(if_none_match)}
            return "*" in tags or self.tag in tags
        since = parse_http_date_safe(if_modified_since) if if_modified_since else None
        return since is not None and self.since is not None and _next_second(self.since) <= since


@lru_cache(maxsize=4096)
def key_of(state: str, day: date) -> str:
    """A digest of what a feed follows from besides its token: the same key, the same bytes.

    state: of its users' ledgers; day: today, UTC.
    """
    return hashlib.sha256(repr((_basis(), day, state)).encode()).hexdigest()


@lru_cache(maxsize=1)
def _basis() -> tuple[object, ...]:
    return (RENDERER_VERSION, installed("tzdata"), settings.FEED_PRODID, settings.FEED_MAX_AGE_SECONDS)


_written = lru_cache(maxsize=4096)(http_date)


def _next_second(moment: datetime) -> int:
    return int(moment.timestamp()) + 1
