"""A real CalDAV server as the contract sees it, behind a proxy that counts what reaches it."""

import itertools

from integrations.caldav.provider import CalDAVProvider
from tests.proxy import Proxy
from tests.servers import CalDAVServer

_numbers = itertools.count(1)


class CalDAVVendor:
    """Each has a calendar of its own on the server that the tests share."""

    provider = CalDAVProvider

    def __init__(self, server: CalDAVServer, proxy: Proxy) -> None:
        self.server, self.proxy = server, proxy
        self.name = f"calendar-{next(_numbers)}"
        server.make_calendar(self.name)
        self.calendar = server.calendar_url(self.name).replace(f":{server.port}/", f":{proxy.port}/")
        self.credentials = {**server.credentials, "server_url": proxy.url}

    def put(self, name: str, text: str) -> None:
        self.server.put_events(self.name, {name: text})

    def delete(self, name: str) -> None:
        self.server.delete_events(self.name, [name])

    def id_of(self, name: str) -> str:
        return f"{name}.ics"

    def lose_cursors(self) -> None:
        self.server.forget_tokens()

    def drop_calendar(self) -> None:
        self.server.drop_calendar(self.name)

    def requests(self) -> int:
        return len(self.proxy.asked)
