"""Which state of a feed this is: the validators of its answers (RFC 9110 §8.8)."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.metadata import version as installed
from pathlib import Path
from zoneinfo import TZPATH

from django.conf import settings
from django.utils.http import http_date, parse_etags, parse_http_date_safe

from icsfeeds.feed import RENDERER_VERSION
from icsfeeds.models import ICSToken

# No transaction that changes a ledger is open for longer.
_SETTLED = timedelta(seconds=61)
_GZIP = "-gzip"


@dataclass(frozen=True, slots=True)
class Version:
    """A feed as one token shows it at one revision of the user's ledger, in one year, by one renderer.

    tag: the opaque part of the ETag. changed_at: when the token or the ledger last changed (or the year began).
    """

    tag: str
    changed_at: datetime

    def etag(self, *, gzipped: bool) -> str:
        """The strong ETag; other bytes are another representation, so compressed ones have their own."""
        return f'"{self.tag}{_GZIP if gzipped else ""}"'

    def last_modified(self, now: datetime) -> str:
        """The HTTP date to send at `now`.

        An HTTP date has whole seconds, and a transaction may commit a while after the time that it wrote. So a change
        is dated up to the next second, but only once it has settled; before that a date from before it is sent, which
        never makes a later If-Modified-Since come out as "not modified".
        """
        if now - self.changed_at > _SETTLED:
            return http_date(_next_second(self.changed_at))
        return http_date(int((self.changed_at - _SETTLED).timestamp()))

    def is_known_to(self, if_none_match: str | None, if_modified_since: str | None) -> bool:
        """Whether a conditional request need not be answered in full (RFC 9110 §13.1.2, §13.1.3: weak comparison)."""
        if if_none_match is not None:
            tags = {tag.removeprefix("W/").strip('"').removesuffix(_GZIP) for tag in parse_etags(if_none_match)}
            return "*" in tags or self.tag in tags
        since = parse_http_date_safe(if_modified_since or "")
        return since is not None and _next_second(self.changed_at) <= since


def version_of(token: ICSToken, *, now: datetime) -> Version:
    """The version that a read at `now` gets. `token` comes with its user; nothing is queried."""
    user = token.user
    facts = (
        RENDERER_VERSION,
        _zone_data(),
        settings.FEED_PRODID,
        settings.FEED_MAX_AGE_SECONDS,
        now.year,
        token.unique_id,
        token.include_synced,
        token.label,
        user.revision,
        # A restored dump may count the same revisions again.
        user.revised_at,
    )
    changed_at = max(
        datetime(now.year, 1, 1, tzinfo=UTC), token.updated_at, user.created_at, user.revised_at or user.created_at
    )
    return Version(hashlib.sha256(repr(facts).encode()).hexdigest()[:32], changed_at)


def _next_second(moment: datetime) -> int:
    return int(moment.timestamp()) + 1


@lru_cache(maxsize=1)
def _zone_data() -> str:
    """Which zone data this process reads: the system's where there are any, else the package's."""
    for folder in TZPATH:
        try:
            with Path(folder, "tzdata.zi").open() as file:
                return file.readline().strip()
        except OSError:
            continue
    return installed("tzdata")
