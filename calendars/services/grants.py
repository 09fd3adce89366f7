"""Connecting by OAuth: the address to send a browser to, and a code turned into tokens of the right account."""

from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.http import url_has_allowed_host_and_scheme

from calendars.errors import AccessNotLasting, ScopesMissing, WrongAccount
from calendars.models import CalendarAccount
from calendars.oauth import OAuthVendor, Tokens, registered_vendor
from calendars.services.accounts import has_backend


@dataclass(frozen=True, slots=True)
class Grant:
    """What a browser brought back from a vendor. verifier: PKCE's, "" where none was used."""

    vendor: OAuthVendor
    code: str = field(repr=False)
    redirect_uri: str
    verifier: str = field(default="", repr=False)


def link(account: CalendarAccount, *, return_to: str, now: datetime) -> str:
    """An address that connects the account, for one use in a browser; "" where its provider knows no such way here."""
    vendor = registered_vendor(account.provider)
    if vendor is None or not has_backend(account.provider):
        return ""
    return vendor.link(account.pk, return_to=return_to, now=now)


def redeem(grant: Grant, *, email: str, lasting: bool = False) -> Tokens:
    """Tokens that open the account of `email` as far as a mirror needs. lasting: they must bring a refresh token.

    The code is spent, whatever comes of it; no row changes. Raises `ScopesMissing`, `WrongAccount`,
    `AccessNotLasting`, and `ProviderError` (`AuthorizationRefused` for the code itself).
    """
    tokens = grant.vendor.exchanged(grant.code, redirect_uri=grant.redirect_uri, verifier=grant.verifier)
    if grant.vendor.missing_scopes(tokens):
        raise ScopesMissing
    if not grant.vendor.belong_to(tokens, email):
        raise WrongAccount(email)
    if lasting and not tokens.refresh_token:
        raise AccessNotLasting
    return tokens


def leads_to_own_page(url: str) -> bool:
    """Whether this is the address of a page of this service, which tells itself how the connecting went."""
    return url.startswith(f"{settings.PUBLIC_URL}/connect/")


def is_allowed_return(url: str) -> bool:
    """Whether a browser may be sent on to `url` after connecting: an absolute address on one of OAUTH_RETURN_HOSTS, or
    a page of this service."""
    if leads_to_own_page(url):
        return True
    try:
        absolute = bool(urlsplit(url).netloc)
    except ValueError:
        return False
    return absolute and url_has_allowed_host_and_scheme(
        url, allowed_hosts=set(settings.OAUTH_RETURN_HOSTS), require_https=settings.SERVED_OVER_HTTPS
    )
