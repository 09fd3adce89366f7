"""Microsoft's authorization server (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow)."""

import re
from collections.abc import Mapping
from typing import Any

from django.conf import settings

from calendars.oauth import Tokens
from integrations.oauth.client import Vendor

# https://learn.microsoft.com/entra/identity-platform/reference-error-codes
_REASONS = {
    70008: "it was not used for too long",
    700082: "it was not used for too long",
    70043: "the organisation's sign-in rules ended it",
    50173: "the password was changed, or access was revoked",
    50076: "the organisation asks for another proof of identity",
    50079: "the organisation asks for another proof of identity",
    50158: "the organisation asks for another proof of identity",
    53003: "the organisation's access rules forbid it",
    65001: "the consent was withdrawn",
    50057: "the user's account is disabled",
    50034: "the user's account does not exist any more",
}
_ASKS_FOR_THE_USER = frozenset({"invalid_grant", "interaction_required", "consent_required", "login_required"})
_CODE = re.compile(r"AADSTS(\d{4,9})")


class Microsoft(Vendor):
    name = "outlook"
    label = "Microsoft"
    # Otherwise a browser that is signed in connects whoever is signed in.
    extra_parameters = {"response_mode": "query", "prompt": "select_account"}

    def needed_scopes(self) -> tuple[str, ...]:
        # offline_access is never among those that come back: the refresh token itself says that it was given.
        return tuple(scope for scope in self.registration.scopes if scope.startswith("Calendars."))

    def addresses(self, tokens: Tokens) -> list[str]:
        me = self._get(f"{settings.OUTLOOK_API_URL}/me?$select=mail,userPrincipalName", tokens)
        return [str(me[name]) for name in ("mail", "userPrincipalName") if me.get(name)]

    def refusal_for_good(self, said: Mapping[str, Any]) -> str | None:
        if said.get("error") not in _ASKS_FOR_THE_USER:
            return None
        found = _CODE.search(str(said.get("error_description", "")))
        codes = said.get("error_codes")
        code = int(found[1]) if found else codes[0] if isinstance(codes, list) and codes else 0
        reason = _REASONS.get(code, "it was revoked, or was not used for too long") if isinstance(code, int) else ""
        named = f" (AADSTS{code})" if isinstance(code, int) and code else ""
        return f"Microsoft does not accept the connection any more: {reason or 'it ended'}{named}."
