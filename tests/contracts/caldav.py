"""A real CalDAV server as the contract sees it, behind a proxy that counts what reaches it."""

import itertools

from integrations.caldav.provider import CalDAVProvider
from tests.contracts.faults import over_http
from tests.servers import CalDAVServer
from tests.simulators.base import Between

_numbers = itertools.count(1)


class CalDAVVendor:
    """Each has a calendar of its own on the server that the tests share."""

    provider = CalDAVProvider
    name = "caldav"

    def __init__(self, server: CalDAVServer, proxy: Between) -> None:
        self.server, self.proxy = server, proxy
        self.collection = f"calendar-{next(_numbers)}"
        server.make_calendar(self.collection)
        self.calendar = server.calendar_url(self.collection).replace(f":{server.port}/", f":{proxy.port}/")
        self.credentials = {**server.credentials, "server_url": proxy.url}
        self.stored = self.credentials

    def put(self, name: str, text: str) -> None:
        self.server.put_events(self.collection, {name: text})

    def delete(self, name: str) -> None:
        self.server.delete_events(self.collection, [name])

    def id_of(self, name: str) -> str:
        return f"{name}.ics"

    def lose_cursors(self) -> None:
        self.server.forget_tokens()

    def drop_calendar(self) -> None:
        self.server.drop_calendar(self.collection)

    def requests(self) -> int:
        return len(self.proxy.asked)

    def fail(self, way: str, *, on: int = 1) -> None:
        self.proxy.fail(over_http()[way], on=on, times=2)

    def recover(self) -> None:
        self.proxy.recover()

    def forget(self, *names: str) -> None:
        self.server.empty(self.collection)
