"""`make screenshots`: the pictures that the README shows, taken from a demo with simulated vendors.

It runs the demo in this folder, as `make demo SIMULATORS=1` does, walks to each page as a person would, and writes
docs/screenshots/*.png. What the demo holds beforehand (var/) is seen in the pictures: `make clean` first.
"""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from config.demo.folder import free_port
from config.env import BASE_DIR
from tests import services

FOLDER = BASE_DIR / "docs" / "screenshots"
# A repository is no picture book.
MOST_BYTES = 150_000
_USER = "user-uuid-123"
_DESKTOP = {"width": 1180, "height": 820}
_PHONE = {"width": 390, "height": 844}


@dataclass(frozen=True, slots=True)
class Demo:
    """What the running demo printed."""

    url: str
    token: str
    api_key: str
    login: tuple[str, str]

    def send(self, method: str, path: str, body: Any) -> dict[str, Any]:
        """The answer's resource."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.token}", "AppId": self.api_key, "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, Any] = json.load(answer)["data"]
        return found


def main() -> int:
    """0 when every picture is there and small enough."""
    try:
        program = services.chromium()
    except services.ServiceMissing as missing:
        print(missing)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    with demo() as running, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        _pages_of_the_user(browser, running)
        _pages_of_the_staff(browser, running)
        browser.close()
    large = [path.name for path in FOLDER.glob("*.png") if path.stat().st_size > MOST_BYTES]
    print(f"Larger than {MOST_BYTES} bytes: {', '.join(large)}" if large else f"The pictures stand in {FOLDER}.")
    return 1 if large else 0


@contextmanager
def demo() -> Iterator[Demo]:
    """A demo with simulated vendors, from when it is ready until it is stopped."""
    command = [sys.executable, "-m", "config.demo"]
    environment = {**os.environ, "PORT": str(free_port()), "SIMULATORS": "1"}
    process = subprocess.Popen(command, cwd=BASE_DIR, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said: dict[str, str] = {}
        for line in process.stdout:
            name, _, value = line.removeprefix("export ").partition("=" if line.startswith("export") else ":")
            said[name] = value.strip()
            if name == "Docs":
                break
        else:
            raise SystemExit("The demo did not start; its reasons stand above.")
        login = said["Admin"].partition("(user ")[2].rstrip(")").split(", password ")
        yield Demo(said["BLOCKS_API_URL"], said["BLOCKS_AUTH_TOKEN"], said["BLOCKS_API_KEY"], (login[0], login[1]))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _pages_of_the_user(browser: Browser, demo: Demo) -> None:
    page = _tab(browser, _DESKTOP)
    page.goto(_link(demo, "anna", "Anna Sample"))
    _take(page, "connect-start")
    link = _link(demo, _USER, "Alex Sample")
    page.goto(link)
    if not page.get_by_text("alice@acme.example").count():
        page.get_by_role("link", name="Google").click()
        page.get_by_label("E-mail address of the account").fill("alice@acme.example")
        page.get_by_role("button", name="Continue to Google").click()
        page.get_by_role("button", name="Allow").click()
    page.goto(link)
    page.get_by_label("Team").wait_for()
    page.get_by_text("Being read").wait_for(state="detached")
    _take(page, "connect")
    page.get_by_role("link", name="Subscribe").click()
    page.get_by_role("link", name="Demo feed").click()
    _take(page, "subscribe")
    phone = _tab(browser, _PHONE, color_scheme="dark", is_mobile=True, device_scale_factor=1.5)
    phone.goto(link)
    _take(phone, "connect-phone")


def _link(demo: Demo, user: str, name: str) -> str:
    """To the connect page of a user, who is called this."""
    demo.send("PUT", f"/users/{user}", {"user": {"name": name, "time_zone": "Europe/Berlin"}})
    link: str = demo.send("POST", f"/users/{user}/connect_links", {})["attributes"]["url"]
    return link


def _pages_of_the_staff(browser: Browser, demo: Demo) -> None:
    page = _tab(browser, {"width": 1380, "height": 900})
    page.goto(f"{demo.url}/admin/")
    page.get_by_label("Username").fill(demo.login[0])
    page.get_by_label("Password").fill(demo.login[1])
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("main").wait_for()
    _take(page, "dashboard")
    page.goto(f"{demo.url}/admin/tenancy/crmuser/")
    page.get_by_role("link", name=_USER).click()
    page.get_by_role("main").get_by_role("link", name="Schedule", exact=True).click()
    page.locator(".ec-event").first.wait_for()
    _take(page, "schedule")


def _tab(browser: Browser, size: dict[str, int], **options: Any) -> Page:
    zone = {"locale": "en-GB", "timezone_id": "Europe/Berlin"}
    return browser.new_context(viewport=size, **zone, **options).new_page()  # type: ignore[arg-type]


def _take(page: Page, name: str) -> Path:
    path = FOLDER / f"{name}.png"
    page.wait_for_load_state("networkidle")
    page.screenshot(path=str(path), animations="disabled")
    print(f"{name}: {path.stat().st_size} bytes", flush=True)
    return path


if __name__ == "__main__":
    sys.exit(main())
