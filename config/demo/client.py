"""The demo as a client of its own API: it connects, syncs and subscribes the way that anybody would."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from config.demo.children import ChildFailed

_FINISHED = {"completed", "completed_with_errors", "failed"}
_SYNC_SECONDS = 60
_PAGES_SECONDS = 30 * 86_400
FEED_LABEL = "Demo feed"
SAMPLE_EMAIL = "alex@sample.invalid"


class Refused(ChildFailed):
    """The service answered the demo's own request with an error."""


@dataclass(frozen=True, slots=True)
class Client:
    """Requests as the company's administrator, about one user."""

    url: str
    token: str = field(repr=False)
    api_key: str = field(repr=False)
    user: str

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def connect(self, server_url: str, *, username: str, password: str, anew: bool) -> str:
        """The id of the sample account: the one that is there, repaired where it fails, or a new one.

        anew: its server has moved. Whatever else the user has connected meanwhile is theirs, and left alone.
        """
        data = {"server_url": server_url, "username": username, "password": password}
        account = self._sample_account()
        if account is not None and anew:
            self._send("DELETE", f"{self._accounts}/{account['id']}")
            account = None
        if account is None:
            body = {"provider": "caldav", "email": SAMPLE_EMAIL, "provider_data": data}
            account = self._send("POST", self._accounts, {"calendar_account": body})["data"]
        elif account["attributes"]["last_error"]:
            self._send("PUT", f"{self._accounts}/{account['id']}", {"calendar_account": {"provider_data": data}})
        return str(account["id"])

    def sync(self, account_id: str) -> dict[str, Any]:
        """The attributes of a finished run over the user's accounts.

        Raises Refused when the account of this id fails, or the run takes too long; what other accounts suffer is
        their user's concern.
        """
        started = self._send("POST", f"/users/{self.user}/calendar/sync")["data"]
        deadline = time.monotonic() + _SYNC_SECONDS
        while time.monotonic() < deadline:
            run: dict[str, Any] = self._send("GET", f"/calendar/syncs/{started['sync_id']}")["data"]["attributes"]
            if run["status"] in _FINISHED:
                break
            time.sleep(0.1)
        else:
            raise Refused(f"The sync did not finish within {_SYNC_SECONDS} seconds; see the worker's log.")
        account = self._send("GET", f"{self._accounts}/{account_id}")["data"]["attributes"]
        if account["last_error"]:
            raise Refused(f"The sample calendars could not be synced: {account['last_error']}")
        return run

    @property
    def _accounts(self) -> str:
        return f"/users/{self.user}/calendar_accounts"

    def _sample_account(self) -> dict[str, Any] | None:
        found = self._send("GET", f"{self._accounts}?provider=caldav&search={SAMPLE_EMAIL}&records=100")["data"]
        return next((account for account in found if account["attributes"]["email"] == SAMPLE_EMAIL), None)

    def feed_token(self) -> str:
        """The token of the demo's feed, which shows the sample calendars too: nobody subscribes to it in those."""
        path = f"/users/{self.user}/ics_tokens"
        for token in self._send("GET", f"{path}?records=100")["data"]:
            if token["attributes"]["label"] == FEED_LABEL and token["attributes"]["active"]:
                return str(token["attributes"]["token"])
        made = self._send("POST", path, {"ics_token": {"label": FEED_LABEL, "include_synced": True}})
        return str(made["data"]["attributes"]["token"])

    def pages(self) -> str:
        """The address of the user's pages, good for as long as the demo's bearer token."""
        body = {"connect_link": {"expires_in": _PAGES_SECONDS}}
        made = self._send("POST", f"/users/{self.user}/connect_links", body)
        return str(made["data"]["attributes"]["url"])

    def _send(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "AppId": self.api_key,
                "Content-Type": "application/json",
                "Accept": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            answered = error.read(2000).decode(errors="replace")
            raise Refused(f"{method} {path} was answered {error.code}: {answered}") from None
        return dict(json.loads(text)) if text else {}
