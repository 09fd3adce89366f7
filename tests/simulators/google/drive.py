"""Google's own client library against the simulator: what it accepts from the real Google it has to accept here.

Run it in an environment of its own, with google-api-python-client and google-auth-oauthlib, against a running simulator
that has an account with three events: `python drive.py http://127.0.0.1:8901/ alice@acme.example`. It imports nothing
from this project.
"""

import os
import sys
import urllib.parse
import urllib.request
from typing import Any

SCOPES = [
    "https://www.googleapis.com/auth/calendar.calendarlist.readonly",
    "https://www.googleapis.com/auth/calendar.events.readonly",
]
REDIRECT_URI = "http://localhost/callback"


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any) -> None:
        return None


def consent(address: str, email: str) -> str:
    """What a user does in the browser: the address to which Google sends them back."""
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(address).query))
    form = [*query.items(), ("email", email), ("answer", "allow"), *(("granted", scope) for scope in SCOPES)]
    request = urllib.request.Request(address.partition("?")[0], data=urllib.parse.urlencode(form).encode())
    try:
        urllib.request.build_opener(_Stay).open(request)
    except urllib.error.HTTPError as sent_back:
        return str(sent_back.headers["Location"])
    raise AssertionError("the consent page did not send the browser back")


def main(url: str, email: str) -> None:
    # Only there is the library installed.
    from google.auth.transport.requests import Request  # type: ignore[import-not-found]
    from google_auth_oauthlib.flow import Flow  # type: ignore[import-not-found]
    from googleapiclient.discovery import build  # type: ignore[import-not-found]
    from googleapiclient.errors import HttpError  # type: ignore[import-not-found]

    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    web = {
        "client_id": "simulated.apps.googleusercontent.com",
        "client_secret": "simulated-secret",
        "auth_uri": f"{url}o/oauth2/v2/auth",
        "token_uri": f"{url}token",
    }
    flow = Flow.from_client_config({"web": web}, SCOPES, redirect_uri=REDIRECT_URI, autogenerate_code_verifier=True)
    address, _ = flow.authorization_url(access_type="offline", prompt="consent", login_hint=email)
    flow.fetch_token(authorization_response=consent(address, email))
    credentials = flow.credentials
    assert credentials.refresh_token
    assert set(credentials.granted_scopes) == set(SCOPES)
    credentials.refresh(Request())

    service = build("calendar", "v3", credentials=credentials, client_options={"api_endpoint": f"{url}calendar/v3/"})
    calendars = service.calendarList().list().execute()["items"]
    assert [calendar["id"] for calendar in calendars if calendar.get("primary")] == [email]

    found, sync_token = pages(service, calendarId=email, maxResults=1)
    assert len(found) >= 3
    again, sync_token = pages(service, calendarId=email, maxResults=1, syncToken=sync_token)
    assert again == []
    refused = None
    try:
        pages(service, calendarId=email, maxResults=1, syncToken="never-given-out")
    except HttpError as error:
        refused = error
    assert refused is not None
    assert (refused.status_code, refused.error_details[0]["reason"]) == (410, "fullSyncRequired")

    wanted = {"id": "channel-1", "type": "web_hook", "address": "https://crm.example/push", "params": {"ttl": "3600"}}
    channel = service.events().watch(calendarId=email, body=wanted).execute()
    assert channel["resourceId"]
    service.channels().stop(body={"id": "channel-1", "resourceId": channel["resourceId"]}).execute()
    print(f"{len(found)} events through google-api-python-client")


def pages(service: Any, **parameters: Any) -> tuple[list[Any], str]:
    """Every item of a listing, and its sync token."""
    request = service.events().list(**parameters)
    found: list[Any] = []
    while True:
        answer = request.execute()
        found += answer.get("items", [])
        following = service.events().list_next(request, answer)
        if following is None:
            return found, answer["nextSyncToken"]
        request = following


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
