"""A browser before the service: `page` is a tab in it, `site` the service's address.

A test fails by itself when anything that it visits says an error on the console (what the Content-Security-Policy
stops is one), asks another host for anything, or, as it is in the end, has an axe violation. `accessible(page)` asks
axe on the way.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests import services
from tests.browser.watch import Watch, accessible

_HERE = Path(__file__).parent
_PATIENCE_MS = 10_000
_BERLIN = {"locale": "en-GB", "timezone_id": "Europe/Berlin"}
_ARGUMENTS = [
    # Root's Chromium knows no sandbox; and containers' /dev/shm is small.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    # Nothing but this machine has an address.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == _HERE:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all tests of a process; it starts in about a second."""
    try:
        program = services.chromium()
    except services.ServiceMissing as missing:
        pytest.fail(str(missing), pytrace=False)
    # Playwright keeps an event loop in this thread, which Django takes for a sign that queries would block it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=_ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def site(live_server: LiveServer, settings: Settings) -> str:
    """The service's address, without a slash at its end; it knows itself by it."""
    settings.PUBLIC_URL = live_server.url
    return live_server.url


@pytest.fixture
def watch(site: str) -> Iterator[Watch]:
    """What the test's pages did wrong. Add `others`, hosts to visit, and `expected`, statuses that have to come."""
    watching = Watch(site.removeprefix("http://"))
    yield watching
    assert not watching.problems, "\n".join(watching.problems)


@pytest.fixture
def tab(browser: Browser, site: str, watch: Watch) -> Iterator[Callable[..., Page]]:
    """Makes a watched tab in a new browser profile; keywords are Playwright's (`color_scheme`, `viewport`, …)."""
    opened: list[BrowserContext] = []

    def open_tab(**options: Any) -> Page:
        context = browser.new_context(**{"base_url": site, **_BERLIN, **options})
        context.set_default_timeout(_PATIENCE_MS)
        watch.over(context)
        opened.append(context)
        return context.new_page()

    yield open_tab
    for context in opened:
        context.close()


@pytest.fixture
def page(tab: Callable[..., Page]) -> Iterator[Page]:
    """A tab on a desktop, light, English, in Berlin."""
    visited = tab()
    yield visited
    if visited.url != "about:blank":
        accessible(visited)
