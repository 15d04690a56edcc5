"""A real browser for tests: Chromium, headless, spoken to through chromedriver's own HTTP protocol (W3C WebDriver)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--no-first-run")  # fmt: skip


def missing() -> str | None:
    """Why there is no browser; None where there is one."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"there is no browser: {' and '.join(lacking)} absent" if lacking else None


@dataclass
class Browser:
    """A session; every page it opens is a file."""

    url: str

    def ask(self, what: str, method: str = "POST", **said: Any) -> Any:
        """One command of the protocol; what it answers."""
        body = json.dumps(said).encode() if method == "POST" else None
        asked = urllib.request.Request(f"{self.url}{what}", body, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.load(answer)["value"]

    def look(self, width: int, height: int = 900, **media: str) -> None:
        """Show pages as wide as this, with these media features (``prefers_color_scheme="dark"``)."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.tell("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": name.replace("_", "-"), "value": value} for name, value in media.items()]
        self.tell("Emulation.setEmulatedMedia", media="", features=features)

    def tell(self, command: str, **parameters: Any) -> Any:
        """A command of the browser's own protocol."""
        return self.ask("/goog/cdp/execute", cmd=command, params=parameters)

    def open(self, page: Path) -> None:
        """Open a file and wait until it is there."""
        self.ask("/url", url=page.as_uri())

    def run(self, script: str) -> Any:
        """What a script returns."""
        return self.ask("/execute/sync", script=script, args=[])

    def requests(self) -> list[str]:
        """The addresses asked for since this was last called."""
        events = [json.loads(entry["message"])["message"] for entry in self.ask("/se/log", type="performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def complaints(self) -> list[str]:
        """What the console said since this was last called."""
        return [entry["message"] for entry in self.ask("/se/log", type="browser")]

    def picture(self, path: Path) -> None:
        """The whole page as a PNG."""
        shot = self.tell("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser of its own, closed at the end."""
    driver = subprocess.Popen(
        ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ
    )
    try:
        yield from _session(_address(driver))
    finally:
        driver.terminate()
        driver.wait(20)
        assert driver.stdout is not None
        driver.stdout.close()


def _address(driver: subprocess.Popen[str]) -> str:
    assert driver.stdout is not None
    for line in driver.stdout:
        if "started successfully on port" in line:
            return f"http://127.0.0.1:{line.rstrip().rstrip('.').rpartition(' ')[2]}"
    raise AssertionError("chromedriver did not start")


def _session(address: str) -> Iterator[Browser]:
    options = {"args": list(FLAGS), "binary": shutil.which("chromium")}
    wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
    opened = Browser(address)
    for attempt in range(20):
        try:
            started = opened.ask("/session", capabilities={"alwaysMatch": wanted})
            break
        except urllib.error.URLError:
            if attempt == 19:
                raise
            time.sleep(0.2)
    opened.url = f"{address}/session/{started['sessionId']}"
    try:
        yield opened
    finally:
        opened.ask("", method="DELETE")
