"""Where a browser sets out for a vendor, and where it comes back. Plain pages for people; no session, no secrets.

The state in the address says for which account; it was made for somebody who proved to be allowed to connect it.
"""

from collections.abc import Sequence
from urllib.parse import urlencode, urlsplit

import structlog
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from calendars.errors import AuthorizationIncomplete
from calendars.oauth import registered_vendor
from calendars.pages.words import DENIED, FAILED, return_failure
from calendars.providers import ProviderError
from calendars.services import accounts, grants, syncs
from calendars.services.grants import Grant, is_allowed_return, leads_to_own_page
from integrations.models import OAuthState
from integrations.oauth import states
from integrations.oauth.client import Vendor
from integrations.oauth.states import StateRefused
from tenancy.errors import NotFound
from tenancy.pages import in_readers_language

log = structlog.get_logger("oauth")

_AGAIN = gettext_lazy("Ask for a new link where you got this one.")
_UNCHANGED = gettext_lazy("Nothing was changed.")
_LONGEST_CODE = 4096


@require_GET
@in_readers_language
def start(request: HttpRequest, provider: str) -> HttpResponse:
    """On to the vendor, with PKCE; the link stays good until somebody comes back by it."""
    vendor = _vendor(provider)
    if vendor is None:
        return _page(request, 404, _("No such page"), [_("This service does not connect accounts of that kind.")])
    state = request.GET.get("state", "")
    try:
        known = states.started(state, provider=provider, now=timezone.now())
    except StateRefused as refused:
        return _page(request, 400, _("This link cannot be used"), [refused.reason, _AGAIN])
    url = vendor.authorize_url(state=state, verifier=known.verifier, login_hint=known.login_hint)
    return _guarded(HttpResponseRedirect(url))


@require_GET
@in_readers_language
def callback(request: HttpRequest, provider: str) -> HttpResponse:
    """Back from the vendor: all is well and stored, or nothing is and the page says why."""
    vendor = _vendor(provider)
    if vendor is None:
        return _page(request, 404, _("No such page"), [_("This service does not connect accounts of that kind.")])
    try:
        found = states.redeem(request.GET.get("state", ""), provider=provider, now=timezone.now())
    except StateRefused as refused:
        return _page(request, 400, _("This link cannot be used"), [refused.reason, _AGAIN])
    code = request.GET.get("code", "")
    if "error" in request.GET or not 0 < len(code) <= _LONGEST_CODE:
        return _denied(request, found, vendor)
    grant = Grant(vendor, code, vendor.redirect_uri, found.verifier)
    try:
        tokens = grants.redeem(grant, email=found.account.email, lasting=True)
        account = accounts.change(found.account, tokens=tokens, now=timezone.now())
    except AuthorizationIncomplete as incomplete:
        log.info("account_not_connected", account=found.account_id, code=incomplete.code)
        return _failed(request, found, 400, incomplete.code)
    except ProviderError as error:
        log.warning("account_not_connected", account=found.account_id, code=error.code)
        return _failed(request, found, 502, FAILED)
    except NotFound:
        return _page(request, 404, _("Not connected"), [_("The account was removed meanwhile."), _UNCHANGED])
    log.info("account_connected", account=account.pk)
    syncs.start_for_account(account)
    if found.return_to and is_allowed_return(found.return_to):
        return _guarded(HttpResponseRedirect(_with_query(found.return_to, connected=str(account.unique_id))))
    return _page(
        request,
        200,
        _("Connected"),
        [
            _("%(email)s is connected. Its calendars are being read; you can close this page.")
            % {"email": account.email}
        ],
    )


def _vendor(provider: str) -> Vendor | None:
    vendor = registered_vendor(provider)
    return vendor if isinstance(vendor, Vendor) else None


def _denied(request: HttpRequest, found: OAuthState, vendor: Vendor) -> HttpResponse:
    """The vendor brought no code (RFC 6749 §4.1.2.1). Its own description is anybody's text and is not shown."""
    error = request.GET.get("error", "")
    if error in {"access_denied", "consent_required", "interaction_required"}:
        return _failed(request, found, 400, DENIED)
    log.warning("authorization_failed", account=found.account_id, provider=vendor.name)
    return _failed(request, found, 400, FAILED)


def _failed(request: HttpRequest, found: OAuthState, status: int, code: str) -> HttpResponse:
    """A page that says why; our own page, where the browser came from it, says so itself."""
    if leads_to_own_page(found.return_to):
        return _guarded(HttpResponseRedirect(_with_query(found.return_to, problem=code)))
    back = found.return_to if is_allowed_return(found.return_to) else ""
    return _page(request, status, _("Not connected"), [return_failure(code), _UNCHANGED, _AGAIN], return_to=back)


def _page(
    request: HttpRequest, status: int, title: str, sentences: Sequence[object], *, return_to: str = ""
) -> HttpResponse:
    words = {"title": title, "sentences": sentences, "return_to": return_to}
    return _guarded(render(request, "pages/sentences.html", words, status=status))


def _guarded(response: HttpResponse) -> HttpResponse:
    """The address holds a state and perhaps a code: no cache keeps the answer, no next page hears of it."""
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response


def _with_query(url: str, **values: str) -> str:
    parts = urlsplit(url)
    query = "&".join(part for part in (parts.query, urlencode(values)) if part)
    return parts._replace(query=query).geturl()
