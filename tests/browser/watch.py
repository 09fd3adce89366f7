"""What no page may do, whoever visits it: noticed while a browser is there, told when the test is over."""

from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Page, Request

# WCAG 2.2 AA and everything below it, and what axe holds good practice beyond.
_AXE = """async () => {
    const found = await axe.run(document, {resultTypes: ["violations"]});
    return found.violations.map(rule => [rule.id, rule.help, rule.nodes.map(node => node.html)]);
}"""
_NODES_SHOWN = 3
# https://web.dev/articles/cls: what moved by itself since the page was opened.
_SHIFTED = """() => new Promise(resolve => {
    let sum = 0;
    new PerformanceObserver(list => {
        for (const entry of list.getEntries()) sum += entry.hadRecentInput ? 0 : entry.value;
    }).observe({type: "layout-shift", buffered: true});
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)));
})"""
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
        context.on("dialog", self._was_shown)

    def _said(self, message: ConsoleMessage) -> None:
        # What the Content-Security-Policy stops, scripts' errors and missing files: all of it is said here.
        if message.type not in {"error", "warning"}:
            return
        if urlsplit(message.location.get("url", "")).netloc in self.others:
            return
        if any(f"status of {status} " in message.text for status in self.expected):
            return
        self.problems.append(f"Console, at {message.location.get('url', '')}: {message.text}")

    def _was_shown(self, dialog: Dialog) -> None:
        # No page of ours opens any: this is a script that came with somebody's text.
        self.problems.append(f"A dialog: {dialog.message}")
        dialog.dismiss()

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


def steady(page: Page) -> None:
    """Nothing of the page has moved since it was opened, but by the hand of whoever looks at it."""
    shifted = page.evaluate(_SHIFTED)
    assert shifted == 0, f"{page.url} moved by {shifted}"


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text()
