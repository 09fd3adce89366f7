"""What no page may do, whoever visits it: noticed while a browser is there, told when the test is over."""

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request

# WCAG 2.2 AA and everything below it, and what axe holds good practice beyond.
_AXE = """async () => {
    const found = await axe.run(document, {resultTypes: ["violations"]});
    return found.violations.map(rule => [rule.id, rule.help, rule.nodes.map(node => node.html)]);
}"""
_NODES_SHOWN = 3
_INSIDE = ("about", "blob", "data")


@dataclass
class Watch:
    """The problems of the service's pages in a browser's context. host: the service's ("localhost:8000").

    others: further hosts that may be visited; what their pages say is their own business. expected: statuses that the
    test asks for; Chromium calls each of them an error.
    """

    host: str
    others: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def over(self, context: BrowserContext) -> None:
        """Watch everything that happens there."""
        context.on("console", self._said)
        context.on("weberror", lambda error: self.problems.append(f"Uncaught: {error.error}"))
        context.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        # What the Content-Security-Policy stops, scripts' errors and missing files: all of it is said here.
        if message.type not in {"error", "warning"}:
            return
        if urlsplit(message.location.get("url", "")).netloc in self.others:
            return
        if any(f"status of {status} " in message.text for status in self.expected):
            return
        self.problems.append(f"Console, at {message.location.get('url', '')}: {message.text}")

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in _INSIDE and address.netloc not in {self.host, *self.others}:
            self.problems.append(f"A request to another host: {request.url}")


def accessible(page: Page) -> None:
    """Have axe look at the page as it is now; raises AssertionError with its violations."""
    if not page.evaluate("() => 'axe' in window"):
        # Not as a <script>, which the page's policy would refuse.
        page.evaluate(_axe())
    violations: list[Any] = page.evaluate(_AXE)
    told = [f"{rule}: {help_}\n    " + "\n    ".join(nodes[:_NODES_SHOWN]) for rule, help_, nodes in violations]
    assert not told, f"axe, at {page.url}:\n" + "\n".join(told)


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text()
