"""Google's authorization server (https://developers.google.com/identity/protocols/oauth2/web-server)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.conf import settings

from calendars.oauth import Tokens
from integrations.oauth.client import Vendor

_CALENDARS_A_PAGE = 250
_MOST_PAGES = 20


class Google(Vendor):
    name = "google"
    label = "Google"
    # Without prompt=consent a second grant brings no refresh token.
    extra_parameters = {"access_type": "offline", "prompt": "consent", "include_granted_scopes": "true"}

    def addresses(self, tokens: Tokens) -> list[str]:
        """A Google account's primary calendar has the account's address for an id; no further scope is needed."""
        first = f"{settings.GOOGLE_API_URL}/users/me/calendarList?maxResults={_CALENDARS_A_PAGE}"
        url = first
        for _ in range(_MOST_PAGES):
            page = self._get(url, tokens)
            for item in page.get("items") or ():
                if isinstance(item, dict) and item.get("primary") is True:
                    return [str(item.get("id", ""))]
            if not page.get("nextPageToken"):
                break
            url = f"{first}&{urlencode({'pageToken': page['nextPageToken']})}"
        return []

    def refusal_for_good(self, said: Mapping[str, Any]) -> str | None:
        if said.get("error") != "invalid_grant":
            return None
        return (
            "Google does not accept the connection any more: it was revoked, was not used for six months, or the "
            'Google app of this service is in "Testing", where access ends after 7 days.'
        )
