"""Feed tokens: made, changed, taken away."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from icsfeeds.models import ICSToken
from tenancy import audit, page_links
from tenancy.models import CrmUser, Verb
from tenancy.page_links import PageLink

CHANGEABLE = frozenset(
    {
        "label", "active", "expires_at", "show_meetings", "show_busy_blocks", "include_synced", "detail", "show_people",
        "past_days", "future_days", "color", "refresh_seconds",
    }
)  # fmt: skip


def issue(user: CrmUser, *, team: Iterable[CrmUser] = (), **values: Any) -> ICSToken:
    """A new token of 192 random bits for the feed of `user`, and with `team` of these users of the company too.

    values: of CHANGEABLE; what is not given has the model's default. expires_at: the first instant at which it is
    useless.
    """
    chosen = {name: values[name] for name in CHANGEABLE & values.keys()}
    team = [member for member in team if member.pk != user.pk]
    value = ICSToken.new_value()
    with transaction.atomic():
        token = ICSToken.objects.create(
            company_id=user.company_id,
            user=user,
            digest=ICSToken.digest_of(value),
            encrypted_token=value,
            of_team=bool(team),
            **chosen,
        )
        token.team.set(team)
        audit.record(token, Verb.CREATED, *chosen, *(["team"] if team else []))
    return token


def change(token: ICSToken, *, team: Iterable[CrmUser] | None = None, **values: Any) -> ICSToken:
    """The token with these of its `CHANGEABLE` fields changed; the next read of the feed sees them."""
    changed = sorted(CHANGEABLE & values.keys())
    for name in changed:
        setattr(token, name, values[name])
    with transaction.atomic():
        # A form may have written into `token` already: what is new is told by what is stored.
        stored = ICSToken.objects.filter(pk=token.pk).values(*changed).first() if changed else None
        if team is not None:
            members = [member for member in team if member.pk != token.user_id]
            token.team.set(members)
            token.of_team = bool(members)
        _save(token, "of_team", *changed)
        new = [name for name in changed if stored is not None and stored[name] != values[name]]
        audit.record_change(token, *new, *(["team"] if team is not None else []))
    return token


def rotate(token: ICSToken) -> ICSToken:
    """The token with a new value: the old address answers 404 from the next request on."""
    value = ICSToken.new_value()
    token.digest, token.encrypted_token = ICSToken.digest_of(value), value
    with transaction.atomic():
        _save(token, "digest", "encrypted_token")
        audit.record(token, Verb.ROTATED)
    return token


def link(token: ICSToken, *, now: datetime, lifetime: timedelta = page_links.LIFETIME) -> PageLink:
    """A link to the subscribe page of this feed, and to nothing else."""
    return page_links.issue(token.user, now=now, lifetime=lifetime, feed=token.unique_id, about=token)


def revoke(token: ICSToken) -> None:
    """Delete the token: its address answers 404 from the next request on."""
    with transaction.atomic():
        audit.record(token, Verb.DELETED)
        token.delete()


def _save(token: ICSToken, *changed: str) -> None:
    # What was shown last may not be what the feed shows now.
    token.shown_key = ""
    token.save(update_fields=[*changed, "shown_key", "updated_at"])
