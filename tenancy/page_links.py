"""Links that let a person without a login reach pages of one user: signed, for that user alone, until they expire.

The link itself is the authority: there is no session and no cookie beside it. It holds row numbers, no names.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db.models import Model

from tenancy import audit
from tenancy.models import CrmUser, Verb

LIFETIME = timedelta(hours=24)
LONGEST_LIFETIME = timedelta(days=30)
# Dots, which no signature holds, need no escaping in an address.
_SEPARATOR = "."
_SALT = "tenancy.page_links"
# Far above any real one; what is longer is not worth reading.
_MOST_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class PageLink:
    """An opened link. feed: the unique id of the one feed that it leads to; None: to all pages of the user.

    return_to: where the person came from, "" if unknown; it was checked when the link was made.
    """

    text: str = field(repr=False)
    user: CrmUser
    expires_at: datetime
    feed: UUID | None = None
    return_to: str = ""

    @property
    def pk(self) -> str:
        """What the JSON:API renderer takes for the resource's id."""
        return self.user.unique_id


class LinkRefused(Exception):
    """Not a link of this service, or of somebody who is gone."""


class LinkExpired(LinkRefused):
    """It was good until now."""


def issue(
    user: CrmUser,
    *,
    now: datetime,
    lifetime: timedelta = LIFETIME,
    feed: UUID | None = None,
    return_to: str = "",
    about: Model | None = None,
) -> PageLink:
    """A link for the user, good for `lifetime` (whole seconds). That there is one stands in the audit log, as something
    done to `about`, the user if that is None."""
    audit.record(about or user, Verb.LINK_MADE)
    expires_at = (now + lifetime).astimezone(UTC).replace(microsecond=0)
    facts = [user.company_id, user.pk, int(expires_at.timestamp()), feed.hex if feed else "", return_to]
    return PageLink(_signer().sign_object(facts), user, expires_at, feed, return_to)


def opened(text: str, *, now: datetime) -> PageLink:
    """What the link says, its user with the company; raises `LinkRefused`, `LinkExpired`. One query, none for a link
    that is not signed by this service."""
    if len(text) > _MOST_CHARACTERS:
        raise LinkRefused
    try:
        company_pk, user_pk, expires, feed, return_to = _signer().unsign_object(text)
    except (BadSignature, ValueError, TypeError):
        raise LinkRefused from None
    expires_at = datetime.fromtimestamp(expires, UTC)
    if expires_at <= now:
        raise LinkExpired
    user = CrmUser.objects.select_related("company").filter(pk=user_pk, company=company_pk).first()
    if user is None:
        raise LinkRefused
    return PageLink(text, user, expires_at, UUID(feed) if feed else None, return_to)


def _signer() -> Signer:
    return Signer(salt=_SALT, sep=_SEPARATOR)
