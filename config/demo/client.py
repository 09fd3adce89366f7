"""The demo as a client of its own API: it connects, syncs and subscribes the way that anybody would."""

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from config.demo.children import ChildFailed

_BADLY_FINISHED = {"completed_with_errors", "failed"}
_SYNC_SECONDS = 60
FEED_LABEL = "Demo feed"


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

    def connect(self, server_url: str, *, username: str, password: str, anew: bool) -> None:
        """The sample account: the one that is there, or a new one. `anew`: its server has moved."""
        accounts = self._send("GET", f"/users/{self.user}/calendar_accounts?provider=caldav")["data"]
        if accounts and not anew:
            return
        for account in accounts:
            self._send("DELETE", f"/users/{self.user}/calendar_accounts/{account['id']}")
        data = {"server_url": server_url, "username": username, "password": password}
        account = {"provider": "caldav", "email": "alex@sample.invalid", "provider_data": data}
        self._send("POST", f"/users/{self.user}/calendar_accounts", {"calendar_account": account})

    def sync(self) -> dict[str, Any]:
        """The attributes of a finished run over the user's accounts; raises Refused when it fails or takes too long."""
        started = self._send("POST", f"/users/{self.user}/calendar/sync")["data"]
        deadline = time.monotonic() + _SYNC_SECONDS
        while time.monotonic() < deadline:
            run: dict[str, Any] = self._send("GET", f"/calendar/syncs/{started['sync_id']}")["data"]["attributes"]
            if run["status"] == "completed":
                return run
            if run["status"] in _BADLY_FINISHED:
                raise Refused(f"The sync ended as {run['status']}: {run['errors']}")
            time.sleep(0.1)
        raise Refused(f"The sync did not finish within {_SYNC_SECONDS} seconds; see the worker's log.")

    def feed_token(self) -> str:
        """The token of the demo's feed, which shows the sample calendars too: nobody subscribes to it in those."""
        path = f"/users/{self.user}/ics_tokens"
        for token in self._send("GET", f"{path}?records=100")["data"]:
            if token["attributes"]["label"] == FEED_LABEL and token["attributes"]["active"]:
                return str(token["attributes"]["token"])
        made = self._send("POST", path, {"ics_token": {"label": FEED_LABEL, "include_synced": True}})
        return str(made["data"]["attributes"]["token"])

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
